// What an agent sees of clients: their history, who else they may be, how they want to be reached, their mails.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultsOf } from './axe.mjs';
import { SOURCE } from './desk.mjs';
import { agent, desk, inHousesOfTheirOwn, site, token } from './shift.mjs';
import { becomes, eventually } from './wait.mjs';

inHousesOfTheirOwn();

test('one person over three channels is one timeline, and can be looked at channel by channel', async () => {
    const olena = await (await agent()).comes();
    await desk.call('+380441234567', { name: 'Олена Коваль' });
    await desk.mail('olena@example.com', { name: 'Олена Коваль', subject: 'Broken chair', text: 'It wobbles.' });
    await desk.chat('Is anybody there?', { user: 'olena', phone: '+380441234567', email: 'olena@example.com' });
    await olena.opens('Is anybody there?');
    await eventually('all three are there', async () => {
        const said = (await olena.entries.allTextContents()).join(' ');
        return /Missed call/.test(said) && /Broken chair/.test(said) && /Is anybody there\?/.test(said);
    });
    await olena.says(olena.card, /\+380441234567proved/);
    await olena.says(olena.card, /olena@example\.comproved/);
    await olena.page.getByRole('button', { name: 'E-mail', exact: true }).click();
    await eventually('mails alone', async () => (await olena.entries.count()) === 1);
    await olena.says(olena.entries, /Broken chair.*It wobbles/s);
    await olena.page.getByRole('button', { name: 'All', exact: true }).click();
    await eventually('all again', async () => (await olena.entries.count()) === 3);
});

test('a long history comes page by page, and nothing twice', async () => {
    await desk.call('+380441234567', { name: 'Often', count: 45 });
    const olena = await (await agent()).comes();
    await olena.opens('Often');
    await eventually('a page', async () => (await olena.entries.count()) >= 30);
    await eventually('all of it', async () => {
        const earlier = olena.page.getByRole('button', { name: 'Earlier' });
        if (await earlier.count()) await earlier.click({ timeout: 2000 }).catch(() => null);
        return (await olena.entries.count()) === 45;
    });
    const ids = await olena.entries.evaluateAll(nodes => nodes.map(node => node.dataset.entry));
    assert.equal(new Set(ids).size, 45);
    await eventually('the end is told', async () => (await olena.page.getByRole('button', { name: 'Earlier' }).count()) === 0);
});

test('who somebody may also be is compared, decided and joined', async () => {
    await desk.mail('petro@example.com', { name: 'Петро', subject: 'My order', text: 'Where is it?' });
    const visitor = await site.visitor();
    const tab = await visitor.tab('', `${desk.url}/chat/${SOURCE}/demo`);
    await tab.open();
    await tab.write('Where is my order?');
    await tab.shows(['Where is my order?', 'sent', 'read']);
    await tab.panel.getByRole('button', { name: /^Leave an e-mail/ }).click();
    await tab.panel.getByRole('textbox', { name: 'E-mail' }).fill('petro@example.com');
    await tab.panel.getByRole('button', { name: 'Save' }).click();
    const olena = await (await agent()).comes();
    await olena.opens('Where is my order?');
    const candidates = olena.page.getByTestId('candidates');
    await olena.says(candidates, /Петро.*Both have petro@example\.com/s);
    await candidates.getByRole('button', { name: 'Compare' }).click();
    await olena.says(candidates, /Stays.*Joins.*petro@example\.com/s);
    const merge = candidates.getByRole('button', { name: 'Merge' });
    assert.ok(await merge.isDisabled(), 'nothing without a reason');
    await candidates.getByLabel('Reason').fill('Told me the number of the order.');
    await merge.click();
    await eventually('both are one', async () => {
        const said = (await olena.entries.allTextContents()).join(' ');
        return /My order/.test(said) && /Where is my order\?/.test(said);
    });
    await eventually('nobody is left to compare', async () => (await candidates.count()) === 0);
    await visitor.leave();
});

test('a note is for everybody here and for nobody else', async () => {
    const visitor = await site.visitor();
    const tab = await visitor.tab('', `${desk.url}/chat/${SOURCE}/demo`);
    await tab.open();
    await tab.write('Hello, it is Ivan');
    const [olena, mia] = [await (await agent()).comes(), await (await agent(await desk.hire('mia'))).comes()];
    for (const one of [olena, mia]) {
        await one.opens('Ivan');
    }
    await olena.page.getByText('Note', { exact: true }).click();
    await olena.composer.fill('Prefers to be called after six.');
    await olena.page.getByRole('button', { name: 'Add note' }).click();
    await mia.says(mia.entries, /Note.*olena.*Prefers to be called after six\./s);
    await becomes(() => olena.composer.inputValue(), '');
    // Who hears what was said after it has not heard it.
    await olena.page.getByText('Reply', { exact: true }).click();
    await olena.composer.fill('Good afternoon!');
    await olena.composer.press('Enter');
    await tab.shows(['Hello, it is Ivan'], ['Good afternoon!']);
    await visitor.leave();
});

test('what the client does not want is refused in words, and the text stays', async () => {
    await desk.chat('Hello, it is Ivan', { user: 'ivan' });
    const olena = await (await agent()).comes();
    await olena.opens('Ivan');
    const chat = olena.card.getByRole('switch', { name: 'Chat' });
    await chat.uncheck();
    await olena.says(olena.card.locator('.switches'), /Chat\s*not wanted · olena/);
    await olena.composer.fill('Good afternoon!');
    await olena.page.keyboard.press('Enter');
    await olena.says(olena.page.locator('.composer .trouble'), /The client does not want to be reached this way\./);
    await becomes(() => olena.composer.inputValue(), 'Good afternoon!');
    await chat.check();
    await olena.says(olena.card.locator('.switches'), /Chat\s*welcome · olena/);
    await olena.composer.press('Enter');
    await olena.says(olena.entries.last(), /Good afternoon!.*Sent/s);
});

test('a client is found by any part of a name or a number', async () => {
    await desk.call('+380441234567', { name: 'Олена Коваль' });
    const olena = await (await agent()).comes();
    await olena.says(olena.waiting, /Олена/);
    for (const words of ['ковал', '44123']) {
        await olena.page.keyboard.press('/');
        await olena.page.keyboard.type(words);
        await olena.page.locator('dialog .row', { hasText: 'Олена Коваль' }).waitFor();
        await olena.page.keyboard.press('Enter');
        await olena.page.locator('main[data-client] h1', { hasText: 'Олена Коваль' }).waitFor();
        await olena.page.keyboard.press('Escape');
        await olena.page.locator('main.nothing').waitFor();
    }
});

test('a mail is shown where nothing of it can run or call home', async () => {
    const picture = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
    const mail = [
        'From: Spy <spy@example.com>', 'To: help@desk.example', 'Subject: Look', 'Message-ID: <look@example.com>',
        'MIME-Version: 1.0', 'Content-Type: multipart/related; boundary=b', '', '--b', 'Content-Type: text/html', '',
        '<p>Dear <b>desk</b></p><script>window.top.caught = 1</script><img src="http://spy.example/1.gif">',
        '<img src="cid:logo@x" alt="logo" onerror="alert(1)"><a href="javascript:alert(1)">x</a>',
        '--b', 'Content-Type: image/png; name=logo.png', 'Content-ID: <logo@x>', 'Content-Transfer-Encoding: base64',
        'Content-Disposition: inline; filename=logo.png', '', picture, '--b--', '',
    ].join('\r\n');
    await desk.run(['mail', '--source', 'help'], mail);
    const olena = await (await agent()).comes();
    await olena.opens('Spy');
    await olena.page.getByRole('button', { name: 'Show as it was laid out' }).click();
    const frame = olena.page.locator('iframe.letter');
    assert.equal(await frame.getAttribute('sandbox'), '');
    const inside = olena.page.frameLocator('iframe.letter');
    await inside.locator('b', { hasText: 'desk' }).waitFor();
    // Its own style sheet came, so its policy lets through what is ours.
    assert.equal(await inside.locator('body').evaluate(body => getComputedStyle(body).marginTop), '12px');
    const shown = () => inside.locator('img').evaluateAll(nodes => nodes.filter(node => node.naturalWidth > 0).length);
    assert.equal(await shown(), 0);
    await olena.says(olena.page.locator('.mail'), /1 picture is not shown/);
    await olena.page.getByRole('button', { name: 'Show', exact: true }).click();
    await eventually('the picture that came with it', async () => (await shown()) === 1);
    assert.equal(await olena.page.evaluate(() => window.caught), undefined);
    assert.ok(olena.asked.every(request => /^(data|blob|about)/.test(request.url()) || request.url().startsWith(desk.url)));
    const [saved] = await Promise.all([
        olena.page.waitForEvent('download'),
        olena.page.getByRole('button', { name: /logo\.png/ }).click(),
    ]);
    assert.equal(saved.suggestedFilename(), 'logo.png');
});

test('a client’s hours are changed by keyboard, kept on the server, and what is wrong is said at its field', async () => {
    await desk.chat('Hello, it is Ivan', { user: 'ivan' });
    const olena = await (await agent(token, { timezoneId: 'Europe/Kyiv' })).comes();
    await olena.opens('Ivan');
    const hours = olena.card.getByTestId('hours');
    await olena.says(hours, 'At any time');
    const change = olena.card.getByRole('button', { name: 'Change the hours' });
    await change.focus();
    const { keyboard } = olena.page;
    await keyboard.press('Enter');
    const [from, until, zone] = ['From', 'Until', 'Time zone'].map(name => olena.card.getByLabel(name, { exact: true }));
    await becomes(() => from.evaluate(node => node === document.activeElement), true);
    await becomes(() => zone.inputValue(), 'Europe/Kyiv');
    // Esc leaves it as it was, and goes back to where one came from.
    await keyboard.press('Escape');
    await becomes(() => change.evaluate(node => node === document.activeElement), true);
    assert.ok(olena.page.url().includes('/conversation/'), 'the conversation is still open');
    await keyboard.press('Enter');
    await from.fill('20:00');
    await until.fill('06:30');
    await zone.fill('Mars/Base');
    await keyboard.press('Enter');
    await olena.says(olena.card.locator('#hours-zone-problem'), /no such time zone.*`Mars\/Base` is no time zone/s);
    await becomes(() => zone.getAttribute('aria-invalid'), 'true');
    await becomes(() => zone.getAttribute('aria-describedby'), 'hours-zone-problem');
    assert.deepEqual(await faultsOf(olena.page), []);
    // What happens meanwhile takes nothing from what is being written.
    await desk.chat('Are you there?', { user: 'ivan' });
    await olena.says(olena.entries.last(), /Are you there\?/);
    await becomes(() => from.inputValue(), '20:00');
    await zone.fill('Asia/Tokyo');
    await until.fill('20:00');
    await keyboard.press('Enter');
    await olena.says(olena.card.locator('#hours-to-problem'), /another minute/);
    await becomes(() => until.getAttribute('aria-invalid'), 'true');
    await becomes(() => zone.getAttribute('aria-invalid'), null);
    await until.fill('06:30');
    await keyboard.press('Enter');
    await olena.says(hours, 'Between 20:00 and 06:30 the next day, Asia/Tokyo');
    await olena.says(olena.page.getByTestId('polite'), /The hours are kept/);
    await becomes(() => change.evaluate(node => node === document.activeElement), true);
    const [{ id }] = (await desk.ask('/v1/clients')).items;
    const kept = async () => (await desk.ask(`/v1/clients/${id}/card`)).preferences.hours;
    assert.deepEqual(await kept(), { zone: 'Asia/Tokyo', from: '20:00', to: '06:30' });
    await change.click();
    await olena.card.getByRole('button', { name: 'At any time' }).click();
    await olena.says(hours, 'At any time');
    assert.equal(await kept(), null);
});

test('who was made one is taken apart again, by who may, after being told what that means', async () => {
    await desk.mail('olena@example.com', { name: 'Olena', subject: 'Broken chair', text: 'It wobbles.' });
    // Signed in on the site, which says whose address it is: a policy makes them one.
    await desk.chat('Is anybody there?', { user: 'olena', email: 'olena@example.com' });
    const [olena, mia] = [await agent(), await agent(await desk.hire('mia'))];
    await olena.canBeLeftWaiting();
    for (const one of [olena, mia]) {
        await one.comes();
        await one.opens('Is anybody there?');
        await one.says(one.page.getByTestId('merges'), /signed token.*signed-token\/1/s);
        await eventually('one history', async () => (await one.page.locator('.entry').count()) === 2);
    }
    await mia.says(mia.page.getByTestId('merges'), /A supervisor can take them apart/);
    assert.equal(await mia.page.getByRole('button', { name: 'Take apart' }).count(), 0);
    await olena.page.getByTestId('merges').getByRole('button', { name: 'Take apart' }).click();
    const asked = olena.page.getByRole('dialog', { name: 'Make two clients of this one again?' });
    await olena.says(asked, /signed-token\/1.*as if they had never been made one/s);
    assert.deepEqual(await faultsOf(olena.page), []);
    assert.ok(await asked.getByRole('button', { name: 'Take apart' }).isDisabled(), 'nothing without a reason');
    // Thought better of: nothing has happened.
    await asked.getByRole('button', { name: 'Cancel' }).click();
    await asked.waitFor({ state: 'detached' });
    assert.equal((await desk.ask('/v1/clients')).items.length, 1);
    await olena.page.getByTestId('merges').getByRole('button', { name: 'Take apart' }).click();
    await asked.getByLabel('Why').fill('A family with one mailbox.');
    await olena.page.evaluate(() => window.hold());
    await olena.page.keyboard.press('Enter');
    await asked.waitFor({ state: 'detached' });
    await olena.says(olena.page.getByTestId('polite'), /two clients again/);
    const focused = () => olena.page.evaluate(() => document.activeElement.id);
    await becomes(focused, 'card');
    await becomes(async () => (await desk.ask('/v1/clients')).items.length, 2);
    // Whose conversation it is now is told after the answer: the focus is on the card of that client then.
    await olena.page.evaluate(() => window.letGo());
    await eventually('the client of the chat', async () => (await olena.entries.count()) === 1);
    await becomes(focused, 'card');
    // Everybody who looks sees it: the chat alone, whose client they were made of before, and the way to them.
    for (const one of [olena, mia]) {
        await eventually('one of two histories', async () => (await one.entries.count()) === 1);
        await one.says(one.entries, /Is anybody there\?/);
        await one.opens('Broken chair');
        await one.says(one.page.getByTestId('merges'), /Taken apart on/);
        await one.says(one.entries, /It wobbles/);
        await one.page.getByTestId('merges').getByRole('link', { name: 'The other client' }).click();
        await one.page.locator('main[data-client]').waitFor();
        await one.says(one.entries, /Is anybody there\?/);
    }
});
