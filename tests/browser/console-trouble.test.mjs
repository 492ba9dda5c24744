// What goes wrong: servers that die, lines that fall silent, tokens that are taken back. Nothing typed is lost.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { agent, desk, inHousesOfTheirOwn } from './shift.mjs';
import { becomes, eventually } from './wait.mjs';

let olena;
inHousesOfTheirOwn();
beforeEach(async () => {
    olena = await agent();
});

const trouble = () => olena.page.locator('.composer .trouble');
const link = () => olena.page.getByTestId('link');
const ours = () => olena.page.locator('.entry.ours');

test('the server is killed: what is being written stays, and what happened meanwhile is there', async () => {
    await desk.chat('Is anybody there?', { user: 'ivan' });
    await olena.comes();
    await olena.opens('Is anybody there?');
    await olena.composer.fill('Yes, here I am');
    await desk.kill9();
    await olena.says(link(), /No connection/);
    await olena.says(olena.page.getByTestId('polite'), /No connection/);
    await olena.composer.press('Enter');
    await olena.says(trouble(), /cannot be reached/);
    await becomes(() => olena.composer.inputValue(), 'Yes, here I am');
    await desk.start();
    await desk.call('+380441234567', { name: 'Meanwhile' });
    await olena.isLive();
    await olena.says(olena.waiting, /Meanwhile/);
    // A reload in between loses nothing either.
    await olena.page.reload();
    await olena.isLive();
    await becomes(() => olena.composer.inputValue(), 'Yes, here I am');
    await olena.composer.press('Enter');
    await olena.says(ours(), /Yes, here I am.*Sent/s);
    await becomes(() => olena.composer.inputValue(), '');
    await eventually('it is sent once', async () => (await ours().count()) === 1);
});

test('an answer whose acknowledgement was lost is sent again as the same one', async () => {
    await desk.chat('Is anybody there?', { user: 'ivan' });
    await olena.comes();
    await olena.opens('Is anybody there?');
    const keys = [];
    // The server has done it; the line breaks before its answer comes.
    await olena.page.route('**/replies', async route => {
        keys.push(route.request().headers()['idempotency-key']);
        if (keys.length > 1) return route.continue();
        await route.fetch();
        await route.abort();
    });
    await olena.composer.fill('Yes');
    await olena.composer.press('Enter');
    await olena.says(trouble(), /cannot be reached/);
    await olena.page.reload();
    await olena.isLive();
    await becomes(() => olena.composer.inputValue(), 'Yes');
    await olena.composer.press('Enter');
    await eventually('it was taken', async () => (await olena.composer.inputValue()) === '');
    assert.equal(keys.length, 2);
    assert.equal(keys[0], keys[1]);
    await olena.says(ours(), /Yes.*Sent/s);
    await becomes(() => ours().count(), 1);
    // The same words once more are another answer.
    await olena.composer.fill('Yes');
    await olena.composer.press('Enter');
    await eventually('there are two', async () => (await ours().count()) === 2);
    assert.notEqual(keys[2], keys[0]);
});

test('the same words hours later are another answer, though the first was never acknowledged', async () => {
    await desk.chat('Is anybody there?', { user: 'ivan' });
    await olena.page.addInitScript(() => {
        const rightly = Date.now;
        window.later = 0;
        Date.now = () => rightly() + window.later;
    });
    await olena.comes();
    await olena.opens('Is anybody there?');
    let isLost = true;
    await olena.page.route('**/replies', async route => {
        if (!isLost) return route.continue();
        isLost = false;
        await route.fetch();
        await route.abort();
    });
    await olena.composer.fill('Thank you!');
    await olena.composer.press('Enter');
    await olena.says(trouble(), /cannot be reached/);
    await eventually('it is sent all the same', async () => (await ours().count()) === 1);
    await olena.page.evaluate(() => void (window.later = 2 * 36e5));
    await olena.composer.press('Enter');
    await eventually('it is said once more', async () => (await ours().count()) === 2);
});

test('an answer given before tells how things stood then, and the page how they stand', async () => {
    await desk.chat('Is anybody there?', { user: 'ivan' });
    await olena.comes();
    await olena.opens('Is anybody there?');
    await olena.page.getByRole('button', { name: 'Claim' }).click();
    await olena.says(olena.page.getByTestId('owner'), 'With: you');
    let path;
    await olena.page.route('**/assign', async route => {
        const first = path === undefined;
        path = new URL(route.request().url()).pathname;
        if (!first) return route.continue();
        await route.fetch();
        await route.abort();
    });
    const give = async () => {
        await olena.page.locator('.deeds summary', { hasText: 'Assign' }).click();
        await olena.page.locator('.deeds').getByRole('button', { name: 'To nobody' }).click();
    };
    await give();
    await olena.says(olena.page.locator('.head .trouble'), /cannot be reached/);
    const claim = path.replace('/assign', '/claim');
    const headers = { authorization: `Bearer ${await desk.hire('mia')}`, 'idempotency-key': 'hers' };
    assert.equal((await fetch(desk.url + claim, { method: 'POST', headers })).status, 200);
    await olena.says(olena.page.getByTestId('owner'), 'With: mia');
    const answered = olena.page.waitForResponse('**/assign');
    await give();
    assert.equal(await (await answered).headerValue('idempotency-replayed'), 'true');
    await eventually('it is done', async () => (await olena.page.locator('.deeds button[disabled]').count()) === 0);
    await olena.says(olena.page.getByTestId('owner'), 'With: mia');
});

test('a line that fell silent is taken for broken, and mended', async () => {
    await olena.page.clock.install();
    await olena.comes();
    await desk.freeze();
    await olena.page.clock.runFor(41e3);
    await olena.says(link(), /No connection/);
    desk.thaw();
    await eventually('it is live again', async () => {
        await olena.page.clock.runFor(5e3);
        return /Live/.test(await link().textContent());
    });
    await desk.call('+380441234567', { name: 'Afterwards' });
    await eventually('what comes is shown', async () => {
        await olena.page.clock.runFor(1e3);
        return /Afterwards/.test((await olena.waiting.allTextContents()).join());
    });
});

test('a position of another feed makes the page read everything anew', async () => {
    await desk.call('+380441234567', { name: 'Before' });
    const asked = [];
    let refuse = 0;
    await olena.page.route(/\/v1\/events/, route => {
        const position = route.request().headers()['last-event-id'] ?? null;
        asked.push(position);
        if (position === null || refuse === 0) return route.continue();
        refuse -= 1;
        const problem = JSON.stringify({ title: 'Bad Request', status: 400, detail: 'it is of another feed' });
        return route.fulfill({ status: 400, contentType: 'application/problem+json', body: problem });
    });
    await olena.comes();
    await olena.says(olena.waiting, /Before/);
    await desk.call('+380671112233', { name: 'Then' });
    await olena.says(olena.page.getByTestId('waiting-count'), '2');
    refuse = 1;
    await desk.kill9();
    await olena.says(link(), /No connection/);
    await desk.start();
    await olena.isLive();
    await olena.says(olena.page.getByTestId('waiting-count'), '2');
    await eventually('it began anew', () => {
        const refused = asked.findIndex(position => position !== null);
        return refused > 0 && asked.at(-1) === null;
    });
    await desk.call('+380631112233', { name: 'After' });
    await olena.says(olena.page.getByTestId('waiting-count'), '3');
});

test('a token that was taken back leads to the door, and what was written waits there', async () => {
    const admin = await desk.hire('boss', 'admin');
    await desk.chat('Is anybody there?', { user: 'ivan' });
    await olena.comes();
    await olena.opens('Is anybody there?');
    await olena.composer.fill('A long answer');
    const headers = { authorization: `Bearer ${admin}` };
    const { items } = await (await fetch(`${desk.url}/v1/tokens`, { headers })).json();
    const { id } = items.find(one => one.name === 'olena');
    assert.equal((await fetch(`${desk.url}/v1/tokens/${id}`, { method: 'DELETE', headers })).status, 204);
    await olena.says(olena.page.getByRole('alert'), /not valid any more.*kept/);
    await olena.page.getByLabel('Token').fill(await desk.hire('olena'));
    await olena.page.getByRole('button', { name: 'Sign in' }).click();
    await olena.isLive();
    await becomes(() => olena.composer.inputValue(), 'A long answer');
    // Somebody else at this computer does not find it.
    await olena.page.goto(`${desk.url}/console/#token=${await desk.hire('mia')}`);
    await olena.says(olena.page.locator('.menu.end summary'), 'mia');
    await olena.opens('Is anybody there?');
    await becomes(() => olena.composer.inputValue(), '');
});

test('what is refused is said where it was tried, and the rest goes on', async () => {
    await desk.call('+380441234567', { name: 'Missed' });
    await olena.comes();
    await olena.opens('Missed');
    // By telephone nothing can be written.
    await olena.page.getByText('Reply', { exact: true }).click();
    await olena.composer.fill('Hello?');
    await olena.page.getByRole('button', { name: 'Send' }).click();
    await olena.says(trouble(), /No answer can be written here\./);
    await becomes(() => olena.composer.inputValue(), 'Hello?');
    await becomes(() => olena.page.getByRole('button', { name: 'Claim' }).isEnabled(), true);
    // Each keeps its own draft.
    await olena.page.getByText('Note', { exact: true }).click();
    await becomes(() => olena.composer.inputValue(), '');
    await olena.composer.fill('Will call');
    await olena.page.getByText('Reply', { exact: true }).click();
    await becomes(() => olena.composer.inputValue(), 'Hello?');
});

test('what an agent is refused is said in their language, and in the server’s words beneath', async () => {
    const mia = await desk.hire('mia', 'supervisor');
    const petro = await (await agent(await desk.hire('petro'), { locale: 'uk-UA' })).comes();
    const { page } = petro;
    const place = at => page.locator(`${at} .trouble`);
    const says = async (at, ours, theirs) => {
        await petro.says(place(at), ours);
        await petro.says(place(at).locator('small[lang=en]'), theirs);
    };
    const ask = async (path, body) => {
        const headers = { authorization: `Bearer ${mia}`, 'content-type': 'application/json', 'idempotency-key': path };
        assert.ok((await fetch(desk.url + path, { method: 'POST', headers, body: body && JSON.stringify(body) })).ok, path);
    };

    // By telephone nothing can be written.
    await desk.call('+380441234567', { name: 'Missed' });
    await petro.opens('Missed');
    await page.getByText('Відповідь', { exact: true }).click();
    await petro.composer.fill('Алло?');
    await page.getByRole('button', { name: 'Надіслати' }).click();
    await says('.composer', /відповісти письмово не можна/, /nobody can be answered in writing over phone\/line/);

    // Somebody else was faster by the moment the request took.
    await page.route('**/claim', async route => {
        await ask(new URL(route.request().url()).pathname);
        await route.continue();
    });
    await page.getByRole('button', { name: 'Взяти' }).first().click();
    await says('.head', /Уже веде mia\./, 'mia has this conversation already');
    // It is hers now, and not an agent's to give away.
    await page.locator('.deeds summary', { hasText: 'Передати' }).click();
    await page.locator('.deeds').getByRole('button', { name: 'Нікому' }).click();
    await says('.head', /Ваша роль цього не дозволяє/, /this needs the role supervisor/);

    // The store is away.
    await page.route('**/resolve', route =>
        route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"type":"about:blank","detail":"the store is away at the moment; try again"}' }),
    );
    await page.getByRole('button', { name: 'Вирішено' }).click();
    await says('.head', /Сервер зараз не може цього зробити. Нічого не втрачено/, /the store is away/);

    // A proxy has nothing to say but its status.
    await page.unroute('**/resolve');
    await page.route('**/resolve', route => route.fulfill({ status: 418, contentType: 'text/html', body: '<h1>No</h1>' }));
    await page.getByRole('button', { name: 'Вирішено' }).click();
    await petro.says(place('.head'), 'Сервер відповів 418.');
});
