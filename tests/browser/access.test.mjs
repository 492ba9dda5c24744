// Everybody can use it: by keyboard, with a screen reader, on a small screen, in a customer's colours
// (WCAG 2.2 AA).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultsOf } from './axe.mjs';
import { SOURCE, standIn } from './desk.mjs';
import { desk, site, toDesks, visitor } from './visit.mjs';
import { eventually } from './wait.mjs';

toDesks(standIn);

// What axe finds; the animation must have ended, or it sees half-transparent text.
async function faults(tab) {
    await tab.page.evaluate(() =>
        Promise.all(
            document
                .querySelector('frontdesk-chat')
                .shadowRoot.getAnimations()
                .map(one => one.finished),
        ),
    );
    return faultsOf(tab.page);
}

const focused = tab =>
    tab.page.evaluate(() => {
        const inner = document.querySelector('frontdesk-chat').shadowRoot.activeElement;
        return inner
            ? inner.id || inner.className || inner.getAttribute('aria-label')
            : document.activeElement.tagName;
    });

// A chat with everything in it: lines of both sides, an unsent one, the form with a mistake, a notice.
async function busy(tab) {
    await tab.open();
    await tab.write('Do you have these in 42? https://shop.example/boots');
    await tab.shows(['Do you have these in 42? https://shop.example/boots', 'sent']);
    await desk.say('Yes, two pairs.');
    await tab.shows(['Do you have these in 42? https://shop.example/boots'], ['Yes, two pairs.']);
    await desk.control({ refusals: 1, refuse: { code: 'not_now', detail: 'full', retry_after: 600 } });
    await tab.write('One, please');
    await tab.says(tab.alert, /cannot take messages/);
    await tab.panel.getByRole('button', { name: /^Leave an e-mail/ }).click();
    await tab.panel.getByRole('button', { name: 'Save' }).click();
    await tab.says(tab.panel.locator('#wrong'), /valid/);
}

for (const [where, options] of [
    ['a desktop', {}],
    ['a phone', { viewport: { width: 320, height: 568 }, hasTouch: true }],
]) {
    test(`axe finds nothing wrong on ${where}`, async () => {
        const one = await site.visitor(options);
        const tab = await one.tab();
        await tab.launcher.waitFor();
        assert.deepEqual(await faults(tab), [], 'closed');
        await busy(tab);
        assert.deepEqual(await faults(tab), [], 'open, with everything in it');
        await one.leave();
    });
}

for (const colour of [
    '#ffff00',
    '#ffffff',
    '#000000',
    '#808080',
    'rebeccapurple',
    'hsl(0 100% 50%)',
    'no colour',
]) {
    test(`everything can be read in ${colour}`, async () => {
        const tab = await visitor.tab(`data-color=${encodeURIComponent(colour)}`);
        await busy(tab);
        assert.deepEqual(await faults(tab), []);
        // What axe does not look at: buttons and outlines stand out from white by 3 to 1.
        const ink = await tab.page
            .locator('frontdesk-chat')
            .evaluate(host => getComputedStyle(host).getPropertyValue('--ink'));
        const parts = ink
            .match(/\d+/g)
            .map(Number)
            .map(part => part / 255)
            .map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        const luminance = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
        assert.ok(1.05 / (luminance + 0.05) >= 4.5, ink);
        assert.deepEqual(tab.complaints, []);
    });
}

test('the demo page has nothing wrong either, in any language', async () => {
    const tab = await visitor.tab('', `${desk.url}/chat/${SOURCE}/demo`);
    await tab.launcher.waitFor();
    for (const lang of ['en', 'uk', 'ru']) {
        await tab.page.check(`#${lang}`);
        assert.deepEqual(await faults(tab), [], lang);
    }
});

test('the keyboard is enough', async () => {
    const tab = await visitor.tab();
    await tab.launcher.waitFor();
    const { keyboard } = tab.page;
    await keyboard.press('Tab');
    await keyboard.press('Tab');
    assert.equal(await focused(tab), 'launch');
    assert.equal(await tab.launcher.getAttribute('aria-expanded'), 'false');
    await keyboard.press('Enter');
    assert.equal(await focused(tab), 'box');
    assert.equal(await tab.launcher.getAttribute('aria-expanded'), 'true');
    await keyboard.type('two');
    await keyboard.press('Shift+Enter');
    await keyboard.type('lines');
    await keyboard.press('Enter');
    await tab.shows(['two\nlines', 'sent']);
    assert.equal(await focused(tab), 'box');
    // Every stop on the way is a thing with a visible focus.
    const stops = [];
    for (let i = 0; i < 5; i += 1) {
        await keyboard.press('Shift+Tab');
        stops.push(await focused(tab));
        const outline = await tab.page.evaluate(() => {
            const root = document.querySelector('frontdesk-chat').shadowRoot;
            return root.activeElement ? getComputedStyle(root.activeElement).outlineStyle : 'page';
        });
        assert.notEqual(outline, 'none', stops.at(-1));
    }
    assert.deepEqual(stops, ['leave', 'log', 'Close chat', 'BUTTON', 'BODY']);
    await tab.launcher.focus();
    await keyboard.press('Shift+Tab');
    await keyboard.press('Shift+Tab');
    assert.equal(await focused(tab), 'box');
    await keyboard.press('Escape');
    await tab.panel.waitFor({ state: 'hidden' });
    assert.equal(await focused(tab), 'launch');
});

test('focus goes back to where it came from', async () => {
    const tab = await visitor.tab();
    await tab.launcher.waitFor();
    await tab.page.getByRole('button', { name: 'Ask us' }).click();
    assert.equal(await focused(tab), 'box');
    await tab.page.keyboard.press('Escape');
    assert.equal(await tab.page.evaluate(() => document.activeElement.textContent), 'Ask us');
});

test('on a small screen the panel is the whole of it, and holds the focus', async () => {
    const one = await site.visitor({ viewport: { width: 320, height: 568 }, reducedMotion: 'reduce' });
    const tab = await one.tab();
    await tab.open();
    assert.deepEqual(await tab.panel.boundingBox(), { x: 0, y: 0, width: 320, height: 568 });
    assert.equal(await tab.panel.getAttribute('aria-modal'), 'true');
    const stops = new Set();
    for (let i = 0; i < 10; i += 1) {
        await tab.page.keyboard.press('Tab');
        stops.add(await focused(tab));
    }
    assert.deepEqual([...stops].sort(), ['Close chat', 'box', 'go', 'log']);
    await tab.page.keyboard.press('Shift+Tab');
    assert.ok(stops.has(await focused(tab)));
    await one.leave();
});

for (const [where, viewport] of [
    ['320 pixels', { width: 320, height: 568 }],
    ['200 % of 1024 by 768', { width: 512, height: 384 }],
]) {
    test(`nothing is cut off at ${where}, and everything can be hit`, async () => {
        const one = await site.visitor({ viewport });
        const tab = await one.tab();
        await busy(tab);
        const seen = await tab.page.evaluate(() => {
            const root = document.querySelector('frontdesk-chat').shadowRoot;
            const panel = root.querySelector('.panel').getBoundingClientRect();
            const visible = node => node.offsetParent;
            return {
                sideways:
                    document.documentElement.scrollWidth > innerWidth ||
                    [...root.querySelectorAll('.panel, .log, form')].some(
                        node => node.scrollWidth > node.clientWidth,
                    ),
                outside: [...root.querySelectorAll('.panel *')]
                    .filter(visible)
                    .filter(node => {
                        const box = node.getBoundingClientRect();
                        return box.width > 1 && (box.left < panel.left - 1 || box.right > panel.right + 1);
                    })
                    .map(node => node.outerHTML),
                small: [...root.querySelectorAll('button, input, textarea')]
                    .filter(visible)
                    .filter(node => {
                        const box = node.getBoundingClientRect();
                        return box.width < 44 || box.height < 44;
                    })
                    .map(node => node.outerHTML),
                box: root.querySelector('textarea').getBoundingClientRect().bottom <= innerHeight,
            };
        });
        assert.deepEqual(seen, { sideways: false, outside: [], small: [], box: true });
        await one.leave();
    });
}

test('Enter that ends a composition does not send', async () => {
    const tab = await visitor.tab();
    await tab.open();
    await tab.connected();
    await tab.box.evaluate(box => {
        box.value = 'にほ';
        for (const options of [{ isComposing: true }, { keyCode: 229 }]) {
            box.dispatchEvent(
                new KeyboardEvent('keydown', {
                    key: 'Enter',
                    bubbles: true,
                    cancelable: true,
                    composed: true,
                    ...options,
                }),
            );
        }
    });
    assert.equal(await tab.box.inputValue(), 'にほ');
    await tab.box.press('Enter');
    await tab.shows(['にほ', 'sent']);
    assert.equal((await desk.seen()).messages.length, 1);
});

test('history is not read aloud, what is new is, once, with its sender', async () => {
    let tab = await visitor.tab();
    await tab.open();
    await tab.write('old');
    await tab.shows(['old', 'sent']);
    await desk.say('old answer');
    await tab.shows(['old'], ['old answer']);
    await tab.page.reload();
    await tab.open();
    await tab.shows(['old'], ['old answer']);
    assert.equal(await tab.log.locator('.line').count(), 0, 'history is outside the live region');
    await desk.say('new answer');
    await tab.shows(['old'], ['old answer'], ['new answer']);
    assert.equal(await tab.log.locator('.line').count(), 1);
    assert.match(await tab.log.innerText(), /^Оля:\s+new answer\s+\d+:\d+/);
    assert.equal(
        await tab.log.locator('time').evaluate(time => Number.isNaN(Date.parse(time.dateTime))),
        false,
    );
    // Closed, it is said by a status, and the button tells how many.
    await tab.page.keyboard.press('Escape');
    await desk.say('and one more');
    await tab.says(
        tab.page.locator('frontdesk-chat .spoken, frontdesk-chat section > [role=status]').first(),
        'Оля: and one more',
    );
    await tab.says(tab.launcher, /new messages: 1/);
    await tab.open();
    await tab.says(tab.launcher, 'Chat with us');
});

test('typing is said once in a while, not every time', async () => {
    const tab = await visitor.tab();
    await tab.open();
    await tab.connected();
    const spoken = tab.page.locator('frontdesk-chat section > [role=status]');
    await tab.page.locator('frontdesk-chat').evaluate(host => {
        const status = host.shadowRoot.querySelector('section > [role=status]');
        window.said = [];
        new MutationObserver(() => window.said.push(status.textContent)).observe(status, {
            childList: true,
            characterData: true,
            subtree: true,
        });
    });
    for (let i = 0; i < 5; i += 1) await desk.control({ typing: 'Оля' });
    await tab.says(spoken, 'Оля is writing…');
    await desk.control({ typing: 'Петро' });
    await tab.says(tab.panel.locator('.typing'), 'Петро is writing…');
    assert.deepEqual(await tab.page.evaluate(() => window.said), ['Оля is writing…']);
    assert.equal(await tab.panel.locator('.typing').getAttribute('aria-hidden'), 'true');
});

test('nothing moves for who wants no motion', async () => {
    for (const [reducedMotion, animations] of [
        ['reduce', 0],
        ['no-preference', 1],
    ]) {
        const one = await site.visitor({ reducedMotion });
        const tab = await one.tab();
        await tab.launcher.waitFor();
        const count = await tab.page.evaluate(() => {
            window.frontdesk.open();
            return document.querySelector('frontdesk-chat').shadowRoot.getAnimations().length;
        });
        assert.equal(count, animations, reducedMotion);
        await one.leave();
    }
});

test('a long text grows its box and is told how much is left', async () => {
    const tab = await visitor.tab();
    await tab.open();
    const before = (await tab.box.boundingBox()).height;
    await tab.box.fill('word '.repeat(790));
    await tab.says(tab.panel.locator('#hint'), 'Characters left: 50');
    await eventually('it has grown', async () => (await tab.box.boundingBox()).height > before);
    await tab.box.fill('x'.repeat(5000));
    await tab.page.keyboard.press('Enter');
    await tab.shows(['x'.repeat(4000), 'sent']);
});
