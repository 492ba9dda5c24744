// Everybody can use the console: by keyboard, with a screen reader, on a small screen, in three languages, in the
// light and in the dark (WCAG 2.2 AA).
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { faultsOf } from './axe.mjs';
import { agent as sits, desk, inOneHouse, token } from './shift.mjs';
import { becomes, eventually } from './wait.mjs';

const ASSETS = new URL('../../crates/console/assets/', import.meta.url);

inOneHouse(async () => {
    await desk.call('+380441234567', { name: 'Олена Коваль' });
    await desk.mail('olena@example.com', { name: 'Олена Коваль', subject: 'Broken chair', text: 'It wobbles.' });
    await desk.chat('Is anybody there?', { user: 'olena', phone: '+380441234567', email: 'olena@example.com' });
});

const agent = options => sits(token, options);

async function faults({ page }) {
    // What is still moving is half transparent.
    await page.evaluate(() => Promise.all(document.getAnimations().map(one => one.finished)));
    return faultsOf(page);
}

// Every page there is, one after the other, each as a person finds it.
async function* pages(olena) {
    const { page } = olena;
    await page.goto(`${desk.url}/console/`);
    await page.getByLabel('Token').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').waitFor();
    yield 'the door';
    await olena.comes();
    await olena.waiting.first().waitFor();
    yield 'the list';
    await olena.opens('Is anybody there?');
    await olena.entries.nth(2).waitFor();
    await olena.card.locator('#who').waitFor({ state: 'attached' });
    await olena.composer.fill('An answer');
    yield 'a conversation';
    await page.locator('.deeds summary').first().click();
    yield 'a menu of it';
    const toCard = page.locator('.to-card');
    if (await toCard.isVisible()) {
        await toCard.click();
        yield 'the card alone';
    }
    await olena.card.getByRole('button', { name: 'Change the hours' }).click();
    yield 'hours that are being changed';
    await page.keyboard.press('Escape');
    await olena.card.getByRole('button', { name: 'Take apart' }).first().click();
    await page.locator('dialog').waitFor();
    yield 'what taking apart means';
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    if (await page.locator('.from-card').isVisible()) await page.locator('.from-card').click();
    await page.locator('.find').click();
    await page.getByRole('searchbox').fill('Олена');
    await page.locator('dialog .row').first().waitFor();
    yield 'finding a client';
    await page.locator('dialog .row').first().click();
    await page.locator('main[data-client] h1', { hasText: 'Олена' }).waitFor();
    yield 'a client';
    await page.locator('#main').focus();
    await page.keyboard.press('?');
    await page.locator('dialog').waitFor();
    yield 'the keys';
    await page.keyboard.press('Escape');
    await page.goto(`${desk.url}/console/#/board`);
    await page.locator('.tile').first().waitFor();
    yield 'the board';
}

const LOOKS = [
    ['by day', { colorScheme: 'light' }],
    ['by night', { colorScheme: 'dark' }],
    ['by day on a phone', { colorScheme: 'light', viewport: { width: 360, height: 740 }, hasTouch: true }],
    ['by night on a phone', { colorScheme: 'dark', viewport: { width: 360, height: 740 }, hasTouch: true }],
];
for (const [name, options] of LOOKS) {
    test(`axe finds nothing wrong ${name}`, async () => {
        const olena = await agent({ ...options, reducedMotion: 'reduce' });
        for await (const page of pages(olena)) assert.deepEqual(await faults(olena), [], page);
    });
}

for (const locale of ['en-GB', 'uk-UA', 'ru-RU']) {
    test(`nothing is cut off at 360 pixels in ${locale}, and everything can be hit`, async () => {
        const olena = await agent({ viewport: { width: 360, height: 740 }, hasTouch: true, locale });
        await olena.comes();
        await olena.waiting.first().waitFor();
        const seen = () =>
            olena.page.evaluate(() => {
                const shown = node => node.checkVisibility({ opacityProperty: true }) && node.getBoundingClientRect().width > 1;
                const boxes = [...document.querySelectorAll('button, a, select, summary, textarea, h1, h2, .tile, input')].filter(shown);
                return {
                    sideways: document.documentElement.scrollWidth > innerWidth,
                    outside: boxes.filter(node => {
                        const { left, right } = node.getBoundingClientRect();
                        return !node.closest('.scroll, .unseen, .filter, .deeds') && (left < -1 || right > innerWidth + 1);
                    }).map(node => node.outerHTML.slice(0, 120)),
                    // WCAG 2.5.8; a link within a text may be as small as the text.
                    small: boxes.filter(node => {
                        const { width, height } = node.getBoundingClientRect();
                        return node.matches('button, select, .row, .button, .top a, .menu > summary') && (width < 24 || height < 24);
                    }).map(node => node.outerHTML.slice(0, 120)),
                };
            });
        const nothing = { sideways: false, outside: [], small: [] };
        await becomes(seen, nothing);
        await olena.opens('Is anybody there?');
        await olena.entries.nth(2).waitFor();
        await becomes(() => olena.page.locator('.list').isVisible(), false);
        await becomes(seen, nothing);
        await olena.page.locator('.to-card').click();
        await olena.card.locator('#who').waitFor();
        await becomes(seen, nothing);
        await olena.card.locator('.hours button').click();
        await olena.card.locator('form.hours').waitFor();
        await becomes(seen, nothing);
        await olena.page.goto(`${desk.url}/console/#/board`);
        await olena.page.locator('.tile').first().waitFor();
        await becomes(seen, nothing);
        await olena.page.goBack();
        await olena.page.locator('.back').click();
        await olena.waiting.first().waitFor();
    });
}

test('the keyboard is enough, and every stop on the way can be seen', async () => {
    const olena = await (await agent()).comes();
    await olena.waiting.first().waitFor();
    const { keyboard } = olena.page;
    // The first stop leads past everything.
    await keyboard.press('Tab');
    await becomes(() => olena.page.locator(':focus').textContent(), 'Skip to the conversation');
    await eventually('it is seen', async () => (await olena.page.locator(':focus').boundingBox()).y >= 0);
    await keyboard.press('Enter');
    await becomes(() => olena.page.evaluate(() => document.activeElement.id), 'main');
    await olena.opens('Is anybody there?');
    await olena.page.evaluate(() => document.activeElement.blur());
    const bare = [];
    for (let i = 0; i < 40; i += 1) {
        await keyboard.press('Tab');
        const stop = await olena.page.evaluate(() => {
            const node = document.activeElement;
            const ring = node.type === 'radio' ? node.closest('label') : node;
            const { outlineStyle, outlineWidth } = getComputedStyle(ring);
            return { what: node.outerHTML.slice(0, 80), seen: node === document.body || (outlineStyle !== 'none' && outlineWidth !== '0px') };
        });
        if (!stop.seen) bare.push(stop.what);
    }
    assert.deepEqual(bare, []);
    // A window takes the focus, keeps it, and gives it back.
    const find = olena.page.locator('.find');
    await find.focus();
    await keyboard.press('Enter');
    await becomes(() => olena.page.evaluate(() => document.activeElement.getAttribute('role')), 'searchbox');
    await keyboard.press('Escape');
    await olena.page.locator('dialog').waitFor({ state: 'detached' });
    await becomes(() => find.evaluate(node => node === document.activeElement), true);
});

test('no key does anything while one types, on any layout', async () => {
    const olena = await (await agent()).comes();
    await olena.opens('Is anybody there?');
    const writes = () => olena.asked.filter(request => request.method() !== 'GET').length;
    const before = writes();
    await olena.page.keyboard.press('r');
    await olena.page.keyboard.type('cenj? /gb');
    await becomes(() => olena.composer.inputValue(), 'cenj? /gb');
    await becomes(() => olena.page.locator('dialog').count(), 0);
    assert.ok(olena.page.url().includes('/conversation/'));
    assert.equal(writes(), before);
    await olena.composer.fill('');
    await olena.page.keyboard.press('Escape');
    // `и` lies where `b` does, `п` where `g` does.
    for (const [key, code] of [['п', 'KeyG'], ['и', 'KeyB']]) {
        await olena.page.evaluate(
            ([key, code]) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, code, bubbles: true, cancelable: true })),
            [key, code],
        );
    }
    await olena.page.locator('main.board').waitFor();
    // A text in the making is not sent by the Enter that ends it.
    await olena.page.goBack();
    await olena.composer.fill('にほ');
    await olena.composer.dispatchEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true });
    await becomes(() => olena.composer.inputValue(), 'にほ');
    assert.equal(writes(), before);
});

test('the page speaks the language of the browser, and the one that is chosen', async () => {
    for (const [locale, lang, waiting] of [['uk-UA', 'uk', 'Чекають'], ['ru-RU', 'ru', 'Ждут'], ['de-DE', 'en', 'Waiting']]) {
        const olena = await agent({ locale });
        await olena.comes();
        await becomes(() => olena.page.locator('html').getAttribute('lang'), lang);
        await olena.says(olena.page.locator('#waiting-title'), new RegExp(`^${waiting}`));
        await olena.page.locator('.menu.end summary').click();
        await olena.page.locator('.sheet .language select').selectOption('uk');
        await olena.says(olena.page.locator('#waiting-title'), /^Чекають/);
        await becomes(() => olena.page.locator('html').getAttribute('lang'), 'uk');
        await olena.page.reload();
        await olena.says(olena.page.locator('#waiting-title'), /^Чекають/);
        await olena.says(olena.waiting, /Пропущений дзвінок, дзвонив 21 с/);
    }
});

test('every word is there in every language, in all its forms, and none is left over', async () => {
    const olena = await agent();
    await olena.page.goto(`${desk.url}/console/`);
    const tables = await olena.page.evaluate(async () => {
        const all = {};
        for (const lang of ['en', 'uk', 'ru']) {
            const { default: table } = await import(`/console/words/${lang}.js`);
            all[lang] = { table, forms: new Intl.PluralRules(lang).resolvedOptions().pluralCategories };
        }
        return all;
    });
    const keys = lang => Object.keys(tables[lang].table).sort();
    assert.deepEqual(keys('uk'), keys('en'));
    assert.deepEqual(keys('ru'), keys('en'));
    const blanks = words => [...new Set(String(words).match(/\{\w+\}/g) ?? [])].sort().join();
    for (const [lang, { table, forms }] of Object.entries(tables)) {
        for (const [key, words] of Object.entries(table)) {
            const english = tables.en.table[key];
            assert.equal(typeof words, typeof english, `${lang}.${key}`);
            const all = typeof words === 'object' ? Object.values(words) : [words];
            if (typeof words === 'object') assert.deepEqual(Object.keys(words).sort(), [...forms].sort(), `${lang}.${key}`);
            const wanted = blanks(typeof english === 'object' ? english.other : english);
            for (const one of all) {
                assert.ok(one.trim() !== '', `${lang}.${key}`);
                assert.equal(blanks(one), wanted, `${lang}.${key}`);
            }
        }
    }
    // What the page asks for by name is there, and what is there is asked for.
    const files = ['', 'views/'].flatMap(folder =>
        readdirSync(new URL(folder, ASSETS)).filter(name => name.endsWith('.js')).map(name => folder + name),
    );
    const text = files.map(name => readFileSync(new URL(name, ASSETS), 'utf8')).join('\n');
    const asked = [...text.matchAll(/\bt\(\s*'(\w+)'/g)].map(([, key]) => key);
    assert.ok(asked.length > 150, `${asked.length}`);
    for (const key of asked) assert.ok(key in tables.en.table, `no words for ${key}`);
    const made = ['channel', 'status', 'level', 'trust', 'call', 'fate', 'promise', 'stage', 'role', 'presence', 'profile', 'by', 'say', 'key', 'problem', 'hours'];
    const left = keys('en').filter(key => !new RegExp(`'${key}'`).test(text) && !made.some(prefix => key.startsWith(`${prefix}_`)));
    assert.deepEqual(left, []);
});

test('nothing moves for who wants no motion', async () => {
    const sheet = readFileSync(new URL('console.css', ASSETS), 'utf8');
    const outside = sheet.split('@media (prefers-reduced-motion: no-preference)');
    assert.equal(outside.length, 2);
    assert.ok(!/animation|transition/.test(outside[0]));
    const olena = await agent({ reducedMotion: 'reduce' });
    await olena.comes();
    await becomes(() => olena.page.evaluate(() => document.getAnimations().length), 0);
    await eventually('it is drawn', async () => (await olena.waiting.count()) > 0);
});
