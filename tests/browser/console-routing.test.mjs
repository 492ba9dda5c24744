// Work that comes to agents by itself: offers, calls that ring, deadlines, callbacks, figures.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { House } from './console.mjs';
import { agent as sits, desk, inHousesOfTheirOwn, token } from './shift.mjs';
import { becomes, eventually } from './wait.mjs';

class Promising extends House {
    static settings = `
[routing.rules.chats]
order = 10
when = "event.channel == 'chat'"
queue = "chats"
priority = 70
promises.first_response = { within_s = 2, warn_percent = 50 }
promises.callback = { within_s = 3600 }

[routing.rules.mails]
order = 20
when = "event.channel == 'email'"
promises.first_response = { within_s = 3600 }

[offers.offer_s]
chat = 600
email = 60
phone = 20
`;
}

inHousesOfTheirOwn(Promising);

// A supervisor, with the page open.
async function agent(name) {
    return (await sits(name === 'olena' ? token : await desk.hire(name, 'supervisor'))).comes();
}

// Says in the profile what they can take, and that they are here.
async function works({ page }, { queues = '', chat = '', extensions = '' }) {
    await page.locator('.menu.end summary').click();
    await page.getByRole('button', { name: 'My profile' }).click();
    await page.getByRole('textbox', { name: 'Queues' }).fill(queues);
    await page.getByLabel('Extensions').fill(extensions);
    await page.locator('input[name=chat]').fill(chat);
    await page.getByRole('button', { name: 'Save' }).click();
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.locator('.top > .presence select').selectOption('available');
    await eventually('they are here', async () => (await page.locator('.presence.available').count()) > 0);
}

const offers = one => one.page.getByTestId('offer');

test('what is offered is declined by one and accepted by the next', async () => {
    const [olena, mia] = [await agent('olena'), await agent('mia')];
    await works(olena, { queues: 'chats', chat: '2' });
    await desk.chat('Is anybody there?', { user: 'ivan' });
    await olena.says(offers(olena), /Chat.*seconds left.*Is anybody there\?/s);
    await olena.says(olena.page.getByTestId('assertive'), /is offered to you/);
    await eventually('the title tells', async () => /^\(1\)/.test(await olena.page.title()));
    await works(mia, { queues: 'chats', chat: '2' });
    // What comes later is told later: she would have heard of an offer by now.
    await desk.call('+380441234567', { name: 'Later' });
    await mia.says(mia.waiting, /Later/);
    assert.equal(await offers(mia).count(), 0);
    await offers(olena).getByRole('button', { name: 'Decline' }).click();
    await mia.says(offers(mia), /Is anybody there\?/);
    await eventually('it is not offered to both', async () => (await offers(olena).count()) === 0);
    await offers(mia).getByRole('button', { name: 'Accept' }).click();
    await mia.says(mia.page.getByTestId('owner'), 'With: you');
    await mia.says(mia.entries, /Is anybody there\?/);
    await olena.says(olena.page.getByTestId('waiting-count'), '1');
    // A profile is kept, and shown again.
    await mia.page.locator('.menu.end summary').click();
    await mia.page.getByRole('button', { name: 'My profile' }).click();
    await becomes(() => mia.page.getByRole('textbox', { name: 'Queues' }).inputValue(), 'chats');
    await mia.page.keyboard.press('Escape');
    await mia.page.locator('.top > .presence select').selectOption('away');
    await mia.says(mia.page.locator('.list'), /Nothing is offered to you while you are not available/);
});

test('what somebody else took is offered no more', async () => {
    const [olena, mia] = [await agent('olena'), await agent('mia')];
    await works(olena, { queues: 'chats', chat: '2' });
    await desk.chat('Is anybody there?', { user: 'ivan' });
    await olena.says(offers(olena), /Is anybody there\?/);
    await mia.opens('Is anybody there?');
    await mia.page.getByRole('button', { name: 'Claim' }).click();
    await mia.says(mia.page.getByTestId('owner'), 'With: you');
    await eventually('it is gone', async () => (await offers(olena).count()) === 0);
});

test('an offer that ended while it was being accepted is said to be over', async () => {
    const olena = await agent('olena');
    await works(olena, { queues: 'chats', chat: '2' });
    await desk.chat('Is anybody there?', { user: 'ivan' });
    await olena.says(offers(olena), /Is anybody there\?/);
    // It is declined by the same agent at another computer, and the page does not know yet.
    await olena.page.route('**/accept', async route => {
        const decline = route.request().url().replace('/accept', '/decline');
        const headers = { authorization: `Bearer ${token}`, 'idempotency-key': 'elsewhere' };
        assert.equal((await fetch(decline, { method: 'POST', headers })).status, 204);
        await route.continue();
    });
    const refused = olena.page.waitForResponse(/\/accept/);
    await offers(olena).getByRole('button', { name: 'Accept' }).click();
    assert.equal((await (await refused).json()).type, '/problems/too-late');
    await eventually('it is gone', async () => (await offers(olena).count()) === 0);
    const trouble = olena.page.locator('.list .trouble');
    await olena.says(trouble, /Too late: the offer is over\..*this offer is over/s);
    await trouble.getByRole('button', { name: 'Close' }).click();
    await becomes(() => trouble.count(), 0);
});

test('a computer whose clock is wrong takes work like any other', async () => {
    // Twenty minutes fast: by it every offer is over, and every call has rung for long.
    const olena = await sits(token);
    await olena.page.addInitScript(() => {
        const Right = Date;
        window.Date = class extends Right {
            constructor(...given) {
                super(...(given.length ? given : [window.Date.now()]));
            }
            static now() {
                return Right.now() + 20 * 60e3;
            }
        };
    });
    await olena.comes();
    await works(olena, { queues: 'chats', chat: '2', extensions: 'olena' });
    await desk.chat('Is anybody there?', { user: 'ivan' });
    await olena.says(offers(olena), /Chat.*[1-5]\d\d seconds left/s);
    const ringing = { From: '+380441234567', CallStatus: 'ringing' };
    const call = { CallSid: 'CA0123456789abcdef0123456789abcdef', To: '+380800500500', Direction: 'inbound' };
    await desk.hook({ ...call, ...ringing });
    const leg = { CallSid: 'CAffffffffffffffffffffffffffffffff', ParentCallSid: call.CallSid, To: 'client:olena' };
    await desk.hook({ ...leg, ...ringing, Direction: 'outbound-dial' });
    await olena.says(olena.page.getByTestId('ring'), /Rings.*\+380441234567/s);
    await offers(olena).getByRole('button', { name: 'Accept' }).click();
    await olena.says(olena.page.getByTestId('owner'), 'With: you');
});

test('a call that ended while nobody told us rings no more', async () => {
    const olena = await agent('olena');
    await works(olena, { extensions: 'olena' });
    const ringing = { From: '+380441234567', CallStatus: 'ringing' };
    const call = { CallSid: 'CA0123456789abcdef0123456789abcdef', To: '+380800500500', Direction: 'inbound' };
    await desk.hook({ ...call, ...ringing });
    const leg = { CallSid: 'CAffffffffffffffffffffffffffffffff', ParentCallSid: call.CallSid, To: 'client:olena' };
    await desk.hook({ ...leg, ...ringing, Direction: 'outbound-dial' });
    const ring = olena.page.getByTestId('ring');
    await olena.says(ring, /Rings/);
    // The line breaks; when it is back its place is of another feed, and everything is read anew.
    let isAway = true;
    await olena.page.route(/\/v1\/events/, route => {
        if (isAway) return route.abort();
        if (!route.request().headers()['last-event-id']) return route.continue();
        return route.fulfill({ status: 400, contentType: 'application/problem+json', body: '{"status":400}' });
    });
    await desk.kill9();
    await olena.says(olena.page.getByTestId('link'), /No connection/);
    await desk.start();
    await desk.hook({ ...call, From: ringing.From, CallStatus: 'completed', CallDuration: '0' });
    const reader = async path => (await fetch(desk.url + path, { headers: { authorization: `Bearer ${token}` } })).json();
    await eventually('it is recorded', async () => (await reader('/v1/contacts')).items[0].content.state === 'ended');
    isAway = false;
    await olena.isLive();
    await becomes(() => ring.count(), 0);
});

test('an offer that ended while the list of offers was on its way does not come back', async () => {
    const olena = await agent('olena');
    await works(olena, { queues: 'chats', chat: '2' });
    await desk.chat('Is anybody there?', { user: 'ivan' });
    await olena.says(offers(olena), /Is anybody there\?/);
    let letGo;
    const held = new Promise(done => (letGo = done));
    let id = null;
    await olena.page.route(/\/v1\/reservations$/, async route => {
        const response = await route.fetch();
        id = (await response.json()).items[0].id;
        await held;
        await route.fulfill({ response });
    });
    // It is declined at another computer after the list was read, and the page hears of it before it has the list.
    await olena.page.reload();
    await eventually('the list is on its way', () => id !== null);
    await olena.isLive();
    const headers = { authorization: `Bearer ${token}`, 'idempotency-key': 'elsewhere' };
    const declined = await fetch(`${desk.url}/v1/reservations/${id}/decline`, { method: 'POST', headers });
    assert.equal(declined.status, 204);
    // What happened after it is on the page, and so is it.
    await desk.call('+380441234567', { name: 'Later' });
    await olena.says(olena.waiting, /Later/);
    const next = olena.page.waitForResponse(/\/v1\/agents$/);
    letGo();
    await next;
    assert.equal(await offers(olena).count(), 0);
});

test('a call that rings at our telephone shows who it is, without taking the focus', async () => {
    const olena = await agent('olena');
    await works(olena, { extensions: 'olena' });
    await desk.mail('ivan@example.com', { name: 'Ivan', subject: 'Something else' });
    await olena.opens('Something else');
    await olena.composer.fill('In the middle of a sentence');
    const call = { CallSid: 'CA0123456789abcdef0123456789abcdef', From: '+380441234567', To: '+380800500500', Direction: 'inbound' };
    await desk.hook({ ...call, CallStatus: 'ringing', CallerName: 'Олена Коваль' });
    const leg = { CallSid: 'CAffffffffffffffffffffffffffffffff', ParentCallSid: call.CallSid, From: call.From, To: 'client:olena' };
    await desk.hook({ ...leg, Direction: 'outbound-dial', CallStatus: 'ringing' });
    const ring = olena.page.getByTestId('ring');
    await olena.says(ring, /Rings.*Олена Коваль.*\+380441234567/s);
    await olena.says(olena.page.getByTestId('assertive'), /Олена Коваль calls you/);
    await becomes(() => olena.composer.evaluate(node => node === document.activeElement), true);
    await ring.getByRole('button', { name: 'Open' }).click();
    await olena.page.locator('main[data-conversation] h1', { hasText: 'Олена Коваль' }).waitFor();
    await becomes(() => ring.count(), 0);
    await olena.says(olena.entries, /Rings/);
    await desk.hook({ ...call, CallStatus: 'completed', CallDuration: '0' });
    await olena.says(olena.entries, /Missed call/);
});

test('a deadline is counted down, and missing it is marked in words and told why it was there', async () => {
    const olena = await agent('olena');
    await desk.chat('Is anybody there?', { user: 'ivan' });
    await olena.opens('Is anybody there?');
    await olena.says(olena.waiting, /Late by/);
    await olena.says(olena.page.getByTestId('polite'), /the deadline has passed/);
    await olena.card.locator('summary', { hasText: 'Why it came here' }).click();
    await olena.says(olena.card, /Rule\s*chats/);
    await olena.says(olena.card, /First response\s*2 sec/);
});

test('a conversation is put off, given on, and a call is owed and made', async () => {
    const [olena, mia] = [await agent('olena'), await agent('mia')];
    await desk.chat('Please call me', { user: 'ivan', phone: '+380441234567' });
    await olena.opens('Please call me');
    await olena.page.getByRole('button', { name: 'Claim' }).click();
    await olena.says(olena.page.getByTestId('owner'), 'With: you');
    await olena.page.getByRole('button', { name: 'We shall call' }).click();
    await olena.says(olena.page.locator('.facts'), /We owe a call, 0 attempts/);
    await olena.page.getByRole('button', { name: 'Called back' }).click();
    await eventually('nothing is owed', async () => !/We owe/.test(await olena.page.locator('.facts').textContent()));
    // Answered by a call, it may be closed with it; it is wanted open for the rest.
    const reopen = olena.page.getByRole('button', { name: 'Reopen' });
    if (await reopen.count()) await reopen.click();
    await olena.page.locator('.deeds summary', { hasText: 'Snooze' }).click();
    await olena.page.getByRole('button', { name: 'Tomorrow at 9' }).click();
    await olena.says(olena.page.getByTestId('status'), /^Snoozed until .*09:00/);
    await olena.says(olena.mine, /Snoozed/);
    await olena.page.locator('.deeds summary', { hasText: 'Assign' }).click();
    await olena.page.locator('.deeds').getByRole('button', { name: 'mia' }).click();
    await olena.says(olena.page.getByTestId('owner'), 'With: mia');
    await mia.says(mia.mine, /Please call me/);
});

test('the board shows what happened, in figures, plots and tables', async () => {
    const olena = await agent('olena');
    await desk.call('+380441234567', { count: 2 });
    await desk.call('+380671112233', { story: 'answered' });
    await desk.mail('maria@example.com');
    await desk.chat('Is anybody there?', { user: 'ivan' });
    await olena.opens('Is anybody there?');
    await olena.composer.fill('Yes');
    await olena.composer.press('Enter');
    await olena.says(olena.entries.last(), /Yes.*Sent/s);
    await olena.page.locator('#main').focus();
    await olena.page.keyboard.press('g');
    await olena.page.keyboard.press('b');
    const tile = name => olena.page.locator('.tile', { hasText: name });
    await olena.says(tile('Waiting'), /2the longest/);
    // The mail has time: of what the level is a share it is no part yet.
    await olena.says(tile('Service level'), /%[01] of 1 in time/);
    await olena.says(tile('Missed calls'), /2.*1 still owed/);
    await olena.says(tile('First response'), /sec/);
    const plots = olena.page.locator('.plot svg[role=img]');
    await eventually('three plots', async () => (await plots.count()) === 3);
    for (const label of await plots.evaluateAll(nodes => nodes.map(node => node.getAttribute('aria-label')))) {
        assert.match(label, /: at most/);
    }
    await olena.page.locator('.plot', { hasText: 'Calls, by hour' }).locator('summary').click();
    const calls = async () => {
        const cells = await olena.page.locator('.plot', { hasText: 'Calls, by hour' }).locator('td').allTextContents();
        return cells.filter(text => /^\d+$/.test(text)).reduce((all, text) => all + Number(text), 0);
    };
    await becomes(calls, 3);
    await olena.page.locator('.board select').nth(1).selectOption('channel');
    await olena.says(olena.page.locator('.parts'), /Phone.*Chat|Chat.*Phone/s);
});
