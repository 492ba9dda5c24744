// What a visitor must be able to rely on, told to a real browser. Where FRONTDESK names the built program it
// is told to that, otherwise to the stand-in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE, standing, token } from './desk.mjs';
import { desk, site, toDesks, visitor } from './visit.mjs';
import { eventually } from './wait.mjs';

toDesks(standing);

test('a line is sent, acknowledged and answered', async () => {
    const tab = await visitor.tab();
    await tab.open();
    await tab.write('Do you have these in 42?');
    await tab.shows(['Do you have these in 42?', 'sent', 'read']);
    await desk.holds('Do you have these in 42?');
    await desk.say('Yes, two pairs.');
    await tab.shows(['Do you have these in 42?', 'read'], ['Yes, two pairs.']);
    assert.deepEqual(tab.complaints, []);
});

test('many lines written fast arrive once each and in order', async () => {
    const tab = await visitor.tab();
    await tab.open();
    const texts = Array.from({ length: 12 }, (_, i) => `line ${i}`);
    for (const text of texts) await tab.write(text);
    await desk.holds(...texts);
    await tab.shows(...texts.map(text => [text, 'sent']));
});

test('a reload in mid-send loses nothing and sends nothing twice', async () => {
    const tab = await visitor.tab('own-copy');
    await tab.open();
    await tab.write('before');
    await tab.shows(['before', 'sent']);
    // The desk has the next line in its socket and has not looked at it yet.
    await desk.freeze();
    const texts = Array.from({ length: 4 }, (_, i) => `in mid-send ${i}`);
    for (const text of texts) await tab.write(text);
    await eventually('the first one is on its way', () => tab.said.some(frame => frame.includes(texts[0])));
    await tab.page.reload();
    await tab.open();
    await tab.shows(...texts.map(text => [text, 'sending']));
    desk.thaw();
    await desk.holds('before', ...texts);
    await tab.shows(['before', 'sent'], ...texts.map(text => [text, 'sent']));
});

test('what is written without a network goes out when it is back', async () => {
    const tab = await visitor.tab();
    await tab.open();
    await tab.write('with a network');
    await tab.shows(['with a network', 'sent']);
    await visitor.context.setOffline(true);
    await desk.kill9();
    await tab.write('without');
    await tab.write('and once more');
    await tab.says(tab.state, /No connection/);
    await tab.shows(['with a network', 'sent'], ['without', 'sending'], ['and once more', 'sending']);
    await desk.start();
    await visitor.context.setOffline(false);
    await desk.holds('with a network', 'without', 'and once more');
    await tab.shows(['with a network', 'sent'], ['without', 'sent'], ['and once more', 'sent']);
});

test('the server is killed in mid-send, and every line is there once', async () => {
    const tab = await visitor.tab();
    await tab.open();
    const texts = Array.from({ length: 20 }, (_, i) => `line ${i}`);
    for (const text of texts.slice(0, 10)) await tab.write(text);
    await desk.freeze();
    for (const text of texts.slice(10, 15)) await tab.write(text);
    await desk.kill9();
    for (const text of texts.slice(15)) await tab.write(text);
    await desk.start();
    await desk.holds(...texts);
    await tab.shows(...texts.map(text => [text, 'sent']));
});

test('what is unsent survives the browser window, and the server that was away', async () => {
    let tab = await visitor.tab('own-copy');
    await tab.open();
    await tab.write('first');
    await tab.shows(['first', 'sent']);
    await desk.kill9();
    await tab.write('second');
    await tab.page.close();
    tab = await visitor.tab('own-copy');
    await tab.open();
    await tab.shows(['second', 'sending']);
    await desk.start();
    await desk.holds('first', 'second');
    await tab.shows(['first', 'sent'], ['second', 'sent']);
});

test('an answer given while the visitor was away waits for them', async () => {
    let tab = await visitor.tab('own-copy');
    await tab.open();
    await tab.write('I shall be back');
    await tab.shows(['I shall be back', 'sent']);
    await tab.page.close();
    await desk.say('Take your time');
    tab = await visitor.tab();
    await tab.says(tab.launcher, /new messages: 1/);
    await tab.open();
    await tab.shows(['I shall be back', 'read'], ['Take your time']);
    await tab.page.reload();
    await tab.connected();
    await tab.says(tab.launcher, 'Chat with us');
});

test('the demo page works as it is served', async () => {
    const tab = await visitor.tab('', `${desk.url}/chat/${SOURCE}/demo`);
    await tab.page.getByRole('button', { name: 'Open the chat' }).click();
    await tab.write('from the demo');
    await tab.shows(['from the demo', 'sent']);
    await desk.holds('from the demo');
    const weight = await tab.page
        .locator('h1')
        .evaluate(node => getComputedStyle(node.ownerDocument.querySelector('.ask')).fontWeight);
    assert.equal(weight, '600', 'its style is let through');
    assert.deepEqual(tab.complaints, []);
});

test('two tabs are one conversation', async () => {
    const [left, right] = [await visitor.tab(), await visitor.tab()];
    await left.open();
    await right.open();
    await left.write('from the left');
    await right.shows(['from the left', 'sent']);
    await right.write('from the right');
    await left.shows(['from the left', 'sent'], ['from the right', 'sent']);
    await desk.holds('from the left', 'from the right');
});

test('where no socket can be opened, the chat goes on', async () => {
    await visitor.context.addInitScript(() => {
        window.WebSocket = class {
            constructor() {
                setTimeout(() => this.onclose({ code: 1006 }));
            }
            close() {}
        };
    });
    const tab = await visitor.tab();
    await tab.open();
    await tab.write('through a proxy');
    await tab.shows(['through a proxy', 'sent']);
    await desk.holds('through a proxy');
    await desk.say('I can hear you');
    await tab.shows(['through a proxy', 'read'], ['I can hear you']);
    await tab.write('good');
    await tab.shows(['through a proxy'], ['I can hear you'], ['good', 'sent']);
    await desk.holds('through a proxy', 'good');
});

test('who is signed in has one chat on all their devices', async () => {
    const phone = await site.visitor();
    const [one, two] = [
        await visitor.tab(`data-token=${token('olena')}`),
        await phone.tab(`data-token=${token('olena')}`),
    ];
    await one.open();
    await two.open();
    await one.write('from the desk');
    await two.shows(['from the desk', 'sent']);
    await two.write('from the phone');
    await one.shows(['from the desk', 'sent'], ['from the phone', 'sent']);
    await desk.holds('from the desk', 'from the phone');
    await phone.leave();
});

test('two people are two conversations', async () => {
    const other = await site.visitor();
    const [one, two] = [await visitor.tab(), await other.tab()];
    await one.open();
    await two.open();
    await one.write('I am one');
    await one.shows(['I am one', 'sent']);
    await two.write('I am two');
    await two.shows(['I am two', 'sent']);
    await one.shows(['I am one', 'sent']);
    await other.leave();
});
