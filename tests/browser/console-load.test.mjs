// Many at once: hundreds who wait, bursts, and more than a screen can be told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { House } from './console.mjs';
import { agent, desk, inHousesOfTheirOwn } from './shift.mjs';
import { becomes, eventually } from './wait.mjs';

class Queued extends House {
    static settings = `
[routing.rules.chats]
order = 10
when = "event.channel == 'chat'"
queue = "chats"
`;
}

inHousesOfTheirOwn(Queued);

const ids = one => one.waiting.evaluateAll(rows => rows.map(row => row.dataset.id));
const count = one => one.page.getByTestId('waiting-count');

// The waiting list as the server has it.
async function list() {
    const all = [];
    for (let cursor = ''; cursor !== null; ) {
        const { items, next } = await desk.ask(`/v1/conversations?waiting=true&limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
        all.push(...items.map(one => one.id));
        cursor = next;
    }
    return all;
}

const reaches = many => eventually(`${many} wait`, async () => (await list()).length === many);

// Keeps what is said politely, sentence by sentence.
async function listens({ page }) {
    await page.evaluate(() => {
        const place = document.querySelector('[data-testid="polite"]');
        window.said = [];
        new MutationObserver(() => place.textContent && window.said.push(place.textContent)).observe(place, { subtree: true, childList: true, characterData: true });
    });
    return () => page.evaluate(() => window.said);
}

test('of hundreds who wait the first are shown, in their order, and who follows moves up', async () => {
    await desk.flood(230);
    await reaches(230);
    const olena = await (await agent()).comes();
    await olena.says(count(olena), '100+');
    const all = await list();
    await becomes(() => ids(olena), all.slice(0, 50));
    // Who comes now stands behind those whom the page has not read; it shows nobody out of turn.
    await desk.chat('The last one', { user: 'ivan' });
    await olena.says(olena.page.getByTestId('polite'), /waits, Chat/);
    assert.equal(await count(olena).textContent(), '100+');
    assert.deepEqual(await ids(olena), all.slice(0, 50));
    // A queue of few is there at once, however many wait elsewhere.
    const queue = olena.page.locator('.queue select');
    await queue.selectOption('chats');
    await olena.says(olena.waiting, /The last one/);
    await olena.says(count(olena), '1');
    await queue.selectOption('');
    await olena.says(count(olena), '100+');
    await olena.page.getByRole('button', { name: 'Show more' }).click();
    await becomes(() => ids(olena), all.slice(0, 100));
    // Others take nearly all of them: the page reads on before it runs dry, and reaches the end.
    for (let taken = 0; taken < 160; taken += 1) await desk.ask('/v1/me/next', {});
    await olena.says(count(olena), '71');
    await becomes(() => ids(olena), await list());
    assert.equal(await olena.page.getByRole('button', { name: 'Show more' }).count(), 0);
    // Now everybody who comes is shown.
    await desk.chat('The very last one', { user: 'petro' });
    await olena.says(olena.waiting.last(), /The very last one/);
});

test('a burst is said in a few sentences, and nobody in it is left out', async () => {
    const olena = await (await agent()).comes();
    await olena.says(olena.page.locator('.list'), /Nobody waits/);
    const said = await listens(olena);
    const began = Date.now();
    await desk.flood(40);
    await olena.says(count(olena), '40');
    // The same words twice are told apart by a space at the end.
    const told = text => Number(/^(\d+) new wait$/.exec(text.trim())?.[1] ?? (/ waits, Phone/.test(text) ? 1 : 0));
    await eventually('all are told of', async () => (await said()).map(told).reduce((all, n) => all + n, 0) === 40);
    // One sentence in five seconds, however slow this machine is.
    const most = 1 + (Date.now() - began) / 5e3;
    assert.ok((await said()).length <= most, `${JSON.stringify(await said())}: at most ${most}`);
    // Who was taken before it could be said is not said to wait; kinds are said one after the other.
    await olena.page.evaluate(async () => {
        const { tell, untell } = await import('/console/aloud.js');
        for (const who of ['Ivan', 'Petro']) tell('waits', who, `${who} waits`);
        for (const who of ['Maria', 'Oksana']) tell('breached', who, `${who} is late`);
        untell('waits', 'Ivan');
    });
    await olena.says(olena.page.getByTestId('polite'), 'Petro waits. 2 deadlines have passed');
});

test('whoever was away for thousands of changes reads everything anew, and goes on where they were', async () => {
    await desk.chat('Is anybody there?', { user: 'ivan' });
    const olena = await (await agent()).comes();
    await olena.opens('Is anybody there?');
    await olena.composer.fill('Yes, here I am');
    let isCut = true;
    await olena.page.route(/\/v1\/events/, route => (isCut ? route.abort() : route.continue()));
    await desk.kill9();
    await olena.says(olena.page.getByTestId('link'), /No connection/);
    await desk.start();
    await desk.flood(1600);
    await desk.chat('Hello?', { user: 'ivan' });
    await reaches(1601);
    isCut = false;
    await olena.isLive();
    await olena.says(olena.page.getByTestId('polite'), /Much has happened/);
    await olena.says(count(olena), '100+');
    await becomes(() => ids(olena), (await list()).slice(0, 50));
    await olena.says(olena.entries.last(), /Hello\?/);
    await becomes(() => olena.composer.inputValue(), 'Yes, here I am');
    // The line goes on behind what was left out.
    await olena.composer.press('Enter');
    await olena.says(olena.entries.last(), /Yes, here I am.*Sent/s);
    await desk.chat('Good', { user: 'ivan' });
    await olena.says(olena.entries.last(), /Good/);
});

test('what was left out several times is read once, and what nobody reads moves the place on', async () => {
    const olena = await agent();
    const [lines, readings] = [[], []];
    const told = number => `id: ${number}\nevent: skipped\ndata: {"after":1,"position":${number}}\n\n`;
    await olena.page.route(/\/v1\/events/, route => {
        lines.push(route.request().headers()['last-event-id'] ?? null);
        const bodies = [
            // A comment says nothing; an id without data is a place.
            'retry: 2000\n\n: still here\nid: 1\n\n',
            `retry: 2000\n\n${told(1)}${told(2)}${told(3)}: still here\nid: 0\n\n`,
        ];
        const body = bodies[lines.length - 1];
        return body ? route.fulfill({ status: 200, contentType: 'text/event-stream', body }) : route.continue();
    });
    olena.page.on('request', request => {
        if (/waiting=true/.test(request.url())) readings.push(request.url());
    });
    await olena.page.clock.install();
    await olena.comes();
    await eventually('it is read a second time', async () => {
        await olena.page.clock.runFor(1e3);
        return readings.length === 2;
    });
    assert.deepEqual(lines.slice(0, 3), [null, '1', '0']);
    for (let second = 0; second < 30; second += 1) await olena.page.clock.runFor(1e3);
    assert.equal(readings.length, 2);
});

test('the stream is read as the standard has it, however it is cut', async () => {
    const olena = await (await agent()).comes();
    const stream = 'retry: 2\n\n:still here\nid: 7\n\nid: 8\r\nevent: entry\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata:x\ndata\n\nid: 1\u00002\n\nevent: left over\n\nid\ndata: y\n\n';
    const heard = pieces =>
        olena.page.evaluate(async pieces => {
            const { parser } = await import('/console/sse.js');
            const heard = [];
            const feed = parser(message => heard.push(message));
            for (const piece of pieces) feed(piece);
            return heard;
        }, pieces);
    const whole = [
        { id: '7', event: 'message', data: null },
        { id: '8', event: 'entry', data: '{"a":\n1}' },
        { id: '8', event: 'message', data: 'x\n' },
        { id: '', event: 'message', data: 'y' },
    ];
    assert.deepEqual(await heard([stream]), whole);
    assert.deepEqual(await heard([...stream]), whole);
    for (let at = 1; at < stream.length; at += 7) assert.deepEqual(await heard([stream.slice(0, at), stream.slice(at)]), whole);
});

test('what is being written in the profile stays while things happen', async () => {
    const olena = await (await agent()).comes();
    await olena.page.locator('.menu.end summary').click();
    await olena.page.getByRole('button', { name: 'My profile' }).click();
    await olena.page.getByLabel('Skills').fill('english, ');
    await desk.flood(3);
    await eventually('they are seen', async () => (await olena.waiting.count()) === 3);
    await becomes(() => olena.page.getByLabel('Skills').inputValue(), 'english, ');
});
