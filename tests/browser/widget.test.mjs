// The widget by itself, against the stand-in, in moods that a real server is seldom in.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { SOURCE, standIn, token } from './desk.mjs';
import { WIDGET } from './site.mjs';
import { desk, site, toDesks, visitor } from './visit.mjs';
import { eventually } from './wait.mjs';

toDesks(standIn);

const ids = async () => (await desk.seen()).messages.map(frame => frame.id);
const hellos = async () => (await desk.seen()).hellos;

describe('a line', () => {
    test('whose ack was lost is sent again with the same id, and is there once', async () => {
        const tab = await visitor.tab('', undefined, { clock: true });
        await tab.open();
        await desk.control({ late: 1 });
        await tab.write('once');
        await eventually('it came', async () => (await ids()).length === 1);
        await desk.holds('once');
        await tab.page.clock.runFor(15e3);
        await tab.shows(['once', 'sent']);
        await tab.write('next');
        await desk.holds('once', 'next');
    });

    test('that gets no ack says so, and is sent at once when asked', async () => {
        const tab = await visitor.tab('', undefined, { clock: true });
        await tab.open();
        await tab.connected();
        await desk.control({ deaf: true });
        await tab.write('anybody there?');
        await tab.shows(['anybody there?', 'sending']);
        // From here on time stands still: only the visitor can make something happen.
        await tab.page.clock.pauseAt(Date.now() + 60e3);
        await tab.shows(['anybody there?', 'unsent']);
        await tab.says(tab.panel.locator('.line .bad'), 'Not sent. Try again');
        await desk.control({ deaf: false });
        await tab.panel.getByRole('button', { name: 'Try again' }).click();
        await tab.shows(['anybody there?', 'sent']);
        await desk.holds('anybody there?');
    });

    test('that the server refuses is not sent again, and those after it are', async () => {
        const tab = await visitor.tab();
        await tab.open();
        await desk.control({ refusals: 1, refuse: { code: 'too_long', detail: 'at most 10' } });
        await tab.write('far too long for this server');
        await tab.write('short');
        await tab.shows(['short', 'sent'], ['far too long for this server', 'refused']);
        await desk.holds('short');
        assert.equal((await ids()).length, 2);
        // Nor by a later page.
        await tab.page.reload();
        await tab.open();
        await tab.shows(['short', 'sent']);
        assert.equal((await ids()).length, 2);
    });

    test('that is recorded late stands where it belongs', async () => {
        const tab = await visitor.tab();
        await tab.open();
        await tab.write('newer');
        await tab.shows(['newer', 'sent']);
        await eventually('it is numbered', () => tab.heard.some(frame => frame.includes('"seq":1')));
        await desk.control({ say: { text: 'older', at: '2026-01-01T10:00:00Z' } });
        await tab.shows(['older'], ['newer', 'read']);
        await tab.write('newest');
        await tab.shows(['older'], ['newer'], ['newest', 'sent']);
    });

    test('that cannot be taken now goes out later, in its place', async () => {
        const tab = await visitor.tab();
        await tab.open();
        await desk.control({ refusals: 1, refuse: { code: 'not_now', detail: 'full', retry_after: 1 } });
        await tab.write('first');
        await tab.write('second');
        await tab.says(tab.alert, /cannot take messages at this moment/);
        await desk.holds('first', 'second');
        await tab.says(tab.alert, '');
        const [first, again, second] = await ids();
        assert.equal(first, again);
        assert.notEqual(first, second);
    });

    test('says sending, sent and read', async () => {
        const tab = await visitor.tab('own-copy');
        await desk.control({ deaf: true });
        await tab.open();
        await tab.write('hello');
        await tab.shows(['hello', 'sending']);
        await tab.says(tab.panel.locator('.mine .meta span'), 'sending…');
        await desk.control({ deaf: false });
        await desk.control({ hang: 1001 });
        await tab.shows(['hello', 'sent']);
        await tab.says(tab.panel.locator('.mine .meta span').last(), 'sent');
        await desk.control({ typing: 'Оля' });
        await tab.shows(['hello', 'read']);
        await tab.says(tab.panel.locator('.typing'), 'Оля is writing…');
        await desk.say('Good day');
        await tab.says(tab.panel.locator('.typing'), '');
    });

    test('is shown as text, whatever is in it, and its addresses are links', async () => {
        const tab = await visitor.tab();
        await tab.open();
        await tab.write(
            '<img src=x onerror=alert(1)> see https://shop.example/a?b=1, or javascript:alert(1)',
        );
        await tab.shows([
            '<img src=x onerror=alert(1)> see https://shop.example/a?b=1, or javascript:alert(1)',
            'sent',
        ]);
        const links = await tab.panel
            .locator('.text a')
            .evaluateAll(nodes => nodes.map(node => [node.href, node.rel, node.target]));
        assert.deepEqual(links, [['https://shop.example/a?b=1', 'noopener noreferrer', '_blank']]);
        assert.equal(await tab.panel.locator('.text img').count(), 0);
        assert.deepEqual(tab.complaints, []);
    });
});

describe('the connection', () => {
    test('is not made before somebody needs it, and by itself for who came back soon', async () => {
        const tab = await visitor.tab('key=secret#fragment');
        await tab.launcher.waitFor();
        assert.deepEqual(await hellos(), []);
        await tab.open();
        await tab.write('hello');
        await tab.shows(['hello', 'sent']);
        const [first] = await hellos();
        assert.equal(first.visitor, null);
        assert.deepEqual(first.page, { url: `${site.url}/shop`, title: "A customer's shop" });
        await tab.page.reload();
        await eventually('it connects by itself', async () => (await hellos()).length === 2);
        assert.match((await hellos())[1].visitor, /^[\w-]{43}$/);
    });

    test('goes on after the last line it has', async () => {
        const tab = await visitor.tab();
        await tab.open();
        await tab.write('one');
        await tab.shows(['one', 'sent']);
        await desk.say('two');
        await tab.shows(['one'], ['two']);
        await desk.control({ hang: 1001 });
        await eventually('it is back', async () => (await hellos()).length === 2);
        assert.equal((await hellos())[1].after, 2);
        await tab.write('three');
        await tab.shows(['one'], ['two'], ['three', 'sent']);
    });

    test('that died in silence is noticed', async () => {
        const tab = await visitor.tab('', undefined, { clock: true });
        await tab.open();
        await tab.connected();
        await tab.page.clock.pauseAt(Date.now() + 1e3);
        await eventually('it asks whether anybody is there', async () => {
            await tab.page.clock.runFor(1e3);
            return tab.said.some(frame => frame.includes('ping'));
        });
        await eventually('it is answered', () => tab.heard.some(frame => frame.includes('pong')));
        await tab.page.clock.runFor(10e3);
        await tab.connected();
        assert.equal((await desk.seen()).sockets, 1);
        await desk.control({ deaf: true });
        await tab.page.clock.runFor(50e3);
        await tab.says(tab.state, /No connection|Connecting/);
        await desk.control({ deaf: false });
        await tab.page.clock.resume();
        await tab.connected();
    });

    test('ends for good when the token has expired, says so, and keeps what was written', async () => {
        const tab = await visitor.tab(`data-token=${token('olena', 1)}`);
        await tab.open();
        await tab.says(tab.state, /sign-in has expired/);
        await tab.write('kept');
        await tab.shows(['kept', 'sending']);
        await tab.page.evaluate(() => window.dispatchEvent(new Event('online')));
        assert.equal((await hellos()).length, 1);
        await visitor.tab(`data-token=${token('olena')}`);
        await desk.holds('kept');
    });

    test('asks the page for a fresh token once', async () => {
        const tab = await visitor.tab('data-source=');
        const given = [token('olena', 1), token('olena'), token('nobody')];
        await tab.page.evaluate(
            async ([source, given]) => {
                (window.frontdesk ??= []).push(
                    ['chat', { source, token: async () => given.shift() }],
                    ['open'],
                );
            },
            [SOURCE, given],
        );
        await tab.write('here');
        await desk.holds('here');
        assert.deepEqual(
            (await hellos()).map(hello => hello.token),
            given.slice(0, 2),
        );
        assert.ok(
            (await hellos()).every(hello => hello.visitor === null),
            'a token stands alone',
        );
    });

    test('is polled for where sockets are forbidden', async () => {
        await desk.control({ sockets: false });
        const tab = await visitor.tab();
        await tab.open();
        await tab.write('through a proxy');
        await tab.shows(['through a proxy', 'sent']);
        await desk.holds('through a proxy');
        await desk.say('I can hear you');
        await tab.shows(['through a proxy', 'read'], ['I can hear you']);
        await tab.write('good');
        await tab.shows(['through a proxy'], ['I can hear you'], ['good', 'sent']);
        const { polls, hellos, messages } = await desk.seen();
        assert.ok(polls >= 3 && messages.length === 2, `${polls} requests, ${messages.length} messages`);
        assert.equal(new Set(hellos.slice(1).map(hello => hello.visitor)).size, 1);
        assert.deepEqual(tab.complaints, []);
    });
});

describe('tabs', () => {
    test('that are new at once become one visitor', async () => {
        const tabs = await Promise.all([visitor.tab(), visitor.tab(), visitor.tab()]);
        await Promise.all(tabs.map(tab => tab.page.evaluate(() => window.frontdesk.open())));
        for (const tab of tabs) await tab.connected();
        // A browser may show one tab late what another has stored: then the later visitor gives way.
        const texts = [];
        for (const [nth, tab] of tabs.entries()) {
            texts.push(`from tab ${nth}`);
            await tab.write(`from tab ${nth}`);
            await tab.shows(...texts.map(text => [text, 'sent']));
        }
        for (const tab of tabs) await tab.shows(...texts.map(text => [text, 'sent']));
    });

    for (const [how, script] of [
        ['with locks', () => {}],
        ['without locks', () => Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })],
    ]) {
        test(`send no line twice, ${how}`, async () => {
            await visitor.context.addInitScript(script);
            const tabs = [await visitor.tab(), await visitor.tab(), await visitor.tab()];
            for (const tab of tabs) {
                await tab.open();
                await tab.connected();
            }
            const texts = [];
            for (let i = 0; i < 9; i += 1) {
                texts.push(`line ${i}`);
                await tabs[i % 3].write(`line ${i}`);
                await tabs[i % 3].shows(...texts.map(text => [text, 'sent']));
            }
            await desk.holds(...texts);
            assert.equal((await ids()).length, 9);
            for (const tab of tabs) await tab.shows(...texts.map(text => [text, 'sent']));
        });
    }

    test('do not wait for one that is frozen', async () => {
        const [left, right] = [await visitor.tab(), await visitor.tab()];
        await left.open();
        await left.write('from the left');
        await left.shows(['from the left', 'sent']);
        await right.open();
        await right.connected();
        const session = await visitor.context.newCDPSession(left.page);
        await session.send('Page.setWebLifecycleState', { state: 'frozen' });
        await right.write('from the right');
        await right.shows(['from the left', 'sent'], ['from the right', 'sent']);
        await desk.holds('from the left', 'from the right');
    });

    test('take over what one that was closed has left', async () => {
        const left = await visitor.tab();
        await left.open();
        await left.connected();
        const right = await visitor.tab('', undefined, { clock: true });
        await right.open();
        await right.connected();
        await desk.control({ deaf: true });
        await left.write('left behind');
        await right.shows(['left behind', 'sending']);
        await left.page.close();
        await desk.control({ deaf: false });
        await right.page.clock.fastForward(6e3);
        await desk.holds('left behind');
        await right.shows(['left behind', 'sent']);
    });

    test('share what is unread', async () => {
        const [left, right] = [await visitor.tab(), await visitor.tab()];
        await left.open();
        await left.write('hello');
        await left.shows(['hello', 'sent']);
        await left.page.keyboard.press('Escape');
        await right.page.reload();
        await right.launcher.waitFor();
        await eventually('both are connected', async () => (await desk.seen()).sockets === 2);
        await desk.say('Good day');
        for (const tab of [left, right]) await tab.says(tab.launcher, /new messages: 1/);
        await left.open();
        for (const tab of [left, right]) await tab.says(tab.launcher, /^Chat with us/);
        await eventually('the server is told', async () => (await desk.seen()).reads.includes(2));
        for (const tab of [left, right]) await tab.launcher.locator('.count').waitFor({ state: 'hidden' });
    });
});

describe('a visitor', () => {
    test('who may store nothing can chat all the same', async () => {
        await visitor.context.addInitScript(() => {
            Object.defineProperty(window, 'localStorage', {
                get() {
                    throw new DOMException('no', 'SecurityError');
                },
            });
        });
        const tab = await visitor.tab();
        await tab.open();
        await tab.write('in memory');
        await tab.shows(['in memory', 'sent']);
        await desk.control({ hang: 1001 });
        await tab.write('and still the same visitor');
        await tab.shows(['in memory', 'sent'], ['and still the same visitor', 'sent']);
        assert.equal(new Set((await desk.lines()).map(line => line.visitor)).size, 1);
        assert.deepEqual(tab.complaints, []);
    });

    test('who signs out leaves nothing behind, in no tab', async () => {
        const [tab, other] = [await visitor.tab(), await visitor.tab()];
        await tab.open();
        await tab.write('private');
        await tab.shows(['private', 'sent']);
        await other.open();
        await other.shows(['private', 'sent']);
        await tab.page.evaluate(() => window.frontdesk.reset());
        await tab.shows();
        await other.shows();
        await tab.write('somebody else');
        await tab.shows(['somebody else', 'sent']);
        assert.equal(new Set((await desk.lines()).map(line => line.visitor)).size, 2);
        const kept = await tab.page.evaluate(() => JSON.stringify(localStorage));
        assert.doesNotMatch(kept, /private/);
    });

    test('behind a token takes along what they have just written, and nobody else does', async () => {
        await desk.control({ deaf: true });
        const tab = await visitor.tab('own-copy');
        await tab.open();
        await tab.write('before I signed in');
        await tab.shows(['before I signed in', 'sending']);
        await desk.control({ deaf: false });
        await tab.page.goto(`${site.url}/shop?data-token=${token('olena')}`);
        await desk.holds('before I signed in');
        await tab.open();
        await tab.shows(['before I signed in', 'sent']);
        // Her next line is still unsent when somebody else sits down here.
        await desk.control({ deaf: true });
        await tab.write('and after');
        await tab.shows(['before I signed in', 'sent'], ['and after', 'sending']);
        await desk.control({ deaf: false, hang: 1001 });
        await desk.control({ deaf: true });
        await tab.page.goto(`${site.url}/shop?own-copy&data-token=${token('petro')}`);
        await tab.open();
        await desk.control({ deaf: false, hang: 1001 });
        await tab.connected();
        await tab.write('I am Petro');
        await tab.shows(['I am Petro', 'sent']);
        await desk.holds('before I signed in', 'I am Petro');
        await tab.page.goto(`${site.url}/shop?data-token=${token('olena')}`);
        await desk.holds('before I signed in', 'I am Petro', 'and after');
        assert.equal(new Set((await desk.lines()).map(line => line.visitor)).size, 2);
        assert.doesNotMatch(await tab.page.evaluate(() => JSON.stringify(localStorage)), /olena|petro/);
    });

    test('can leave an e-mail or a number, and is told when it is none', async () => {
        const tab = await visitor.tab();
        await tab.open();
        await tab.write('hello');
        await tab.panel.getByRole('button', { name: /^Leave an e-mail/ }).click();
        await tab.panel.getByRole('button', { name: 'Save' }).click();
        await tab.says(tab.panel.locator('#wrong'), /Enter a valid e-mail/);
        await tab.page.keyboard.type('olena@client.example');
        await tab.panel.getByRole('textbox', { name: 'Phone' }).fill('12');
        await tab.page.keyboard.press('Enter');
        await tab.says(tab.panel.locator('#wrong'), /Enter a valid e-mail/);
        await tab.panel.getByRole('textbox', { name: 'Phone' }).fill('+380 44 123-45-67');
        await tab.page.keyboard.press('Enter');
        await tab.says(tab.state, /^Thank you/);
        await eventually('the desk knows', async () => (await desk.seen()).claims.length === 1);
        const { id, ...claim } = (await desk.seen()).claims[0];
        assert.deepEqual(claim, {
            type: 'identify',
            email: 'olena@client.example',
            phone: '+380 44 123-45-67',
        });
        await tab.page.reload();
        await tab.open();
        await tab.shows(['hello', 'sent']);
        assert.equal(await tab.panel.getByRole('button', { name: /^Leave an e-mail/ }).count(), 0);
        assert.doesNotMatch(await tab.page.evaluate(() => JSON.stringify(localStorage)), /client\.example/);
    });

    test('whom the page knows is told about through the page', async () => {
        const tab = await visitor.tab();
        await tab.page.evaluate(() => (window.frontdesk ??= []).push(['identify', { name: 'Олена' }]));
        await tab.launcher.waitFor();
        assert.deepEqual(await hellos(), [], 'that alone connects nobody');
        await tab.open();
        await eventually('the desk knows', async () => (await desk.seen()).claims[0]?.name === 'Олена');
    });
});

describe('on a page', () => {
    test('it is there once however often it is loaded, and survives a body that is swapped', async () => {
        const tab = await visitor.tab('twice');
        await tab.open();
        assert.equal(await tab.page.locator('frontdesk-chat').count(), 1);
        await tab.write('before');
        await tab.page.evaluate(() =>
            document.documentElement.replaceChild(document.createElement('body'), document.body),
        );
        await tab.write('after');
        await tab.shows(['before', 'sent'], ['after', 'sent']);
        await tab.page.evaluate(() => document.body.replaceChildren());
        await tab.shows(['before', 'sent'], ['after', 'sent']);
        assert.deepEqual(tab.complaints, []);
    });

    test('its place and its keys are its own, whatever the page does', async () => {
        const tab = await visitor.tab();
        await tab.launcher.waitFor();
        const place = await tab.launcher.boundingBox();
        await tab.page.evaluate(() => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(
                'body > * { position: static !important; display: none !important; margin: 9em; font: 30px serif }' +
                    ' button { display: none } p { color: red !important }',
            );
            document.adoptedStyleSheets = [sheet];
            window.pressed = 0;
            document.addEventListener('keydown', () => {
                window.pressed += 1;
            });
        });
        assert.deepEqual(await tab.launcher.boundingBox(), place);
        await tab.open();
        await tab.page.keyboard.type('shortcuts');
        await tab.page.keyboard.press('Enter');
        await tab.shows(['shortcuts', 'sent']);
        assert.equal(await tab.page.evaluate(() => window.pressed), 0);
        const colour = await tab.panel.locator('.greeting').evaluate(node => getComputedStyle(node).color);
        assert.equal(colour, 'rgb(75, 85, 99)');
    });

    test("it speaks the language it is told, else the page's, else the visitor's", async () => {
        const ukrainian = await site.visitor({ locale: 'uk-UA' });
        for (const [query, title] of [
            ['data-lang=ru&html-lang=uk', 'Чат с нами'],
            ['html-lang=uk', 'Чат із нами'],
            ['html-lang=pl', 'Чат із нами'],
            ['data-lang=xx&html-lang=en', 'Chat with us'],
        ]) {
            const tab = await ukrainian.tab(query);
            await tab.says(tab.launcher, title);
            await tab.page.close();
        }
        const tab = await ukrainian.tab('html-lang=ru');
        await tab.open();
        await tab.box.fill('half a sentence');
        await tab.page.evaluate(() => {
            document.documentElement.lang = 'uk';
        });
        await tab.says(tab.panel.locator('h2'), 'Чат із нами');
        assert.equal(await tab.box.inputValue(), 'half a sentence');
        assert.equal(await tab.panel.locator('xpath=..').getAttribute('lang'), 'uk');
        await ukrainian.leave();
    });

    test('the demo page shows it in three languages and breaks no policy', async () => {
        const tab = await visitor.tab('', `${desk.url}/chat/${SOURCE}/demo`);
        await tab.says(tab.launcher, 'Chat with us');
        for (const [lang, title, heading] of [
            ['uk', 'Чат із нами', /^Напишіть/],
            ['ru', 'Чат с нами', /^Напишите/],
            ['en', 'Chat with us', /^Write/],
        ]) {
            await tab.page.check(`#${lang}`);
            await tab.says(tab.launcher, title);
            await tab.page.locator('h1').getByText(heading).waitFor();
        }
        await tab.page.getByRole('button', { name: 'Open the chat' }).click();
        await tab.write('from the demo');
        await tab.shows(['from the demo', 'sent']);
        assert.match(await tab.page.content(), /data-source="site"/);
        assert.doesNotMatch(await tab.page.content(), /\{\{/);
        assert.deepEqual(tab.complaints, []);
    });
});

test('the file is small, whole in three languages, and makes no code or markup of text', () => {
    const text = readFileSync(WIDGET, 'utf8');
    assert.ok(gzipSync(text).length < 16 * 1024, `${gzipSync(text).length} bytes on the wire`);
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|\beval\(|new Function|document\.write/);
    const words = eval(`(${/const WORDS = (\{[\s\S]*?\n\});/.exec(text)[1]})`);
    for (const [key, said] of Object.entries(words)) {
        assert.ok(said.length === 3 && said.every(Boolean), `${key} in three languages`);
        assert.match(text, new RegExp(`['.]${key}\\b`), `${key} is used`);
    }
});
