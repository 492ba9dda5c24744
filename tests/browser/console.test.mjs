// An agent's day, told to a real browser and the built program.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE } from './desk.mjs';
import { agent, desk, inHousesOfTheirOwn, site, token } from './shift.mjs';
import { becomes } from './wait.mjs';

inHousesOfTheirOwn();

test('a token lets in, a wrong one does not, and nothing of it stays behind', async () => {
    const olena = await agent();
    const { page } = olena;
    await page.goto(desk.url);
    assert.equal(page.url(), `${desk.url}/console/`);
    await page.getByLabel('Token').fill('fd_not-a-token-of-ours');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await olena.says(page.getByRole('alert'), /not valid/);
    await page.getByLabel('Token').fill('two words');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await olena.says(page.getByRole('alert'), /letters, digits/);
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await olena.isLive();
    await becomes(() => page.locator('.menu.end summary').textContent(), 'olena');

    // It is this tab's, until it is asked to be this computer's.
    const other = await olena.context.newPage();
    await other.goto(`${desk.url}/console/`);
    await other.getByLabel('Token').fill(token);
    await other.getByLabel('Remember me').check();
    await other.getByRole('button', { name: 'Sign in' }).click();
    await other.getByTestId('link').filter({ hasText: 'Live' }).waitFor();
    const third = await olena.context.newPage();
    await third.goto(`${desk.url}/console/`);
    await third.getByTestId('link').filter({ hasText: 'Live' }).waitFor();
    await third.locator('.menu.end summary').click();
    await third.getByRole('button', { name: 'Sign out' }).click();
    await third.getByLabel('Token').waitFor();
    const kept = () => Object.entries({ ...localStorage, ...sessionStorage }).filter(([key]) => !key.includes('.set.'));
    assert.deepEqual(await third.evaluate(kept), []);
});

test('the link with a token in it signs in, and the address forgets it at once', async () => {
    const olena = await agent();
    await olena.comes();
    assert.ok(!olena.page.url().includes(token), olena.page.url());
    await olena.page.goBack().catch(() => null);
    assert.ok(!olena.page.url().includes(token), 'nor is it in the history');
    await olena.comes('');
    assert.ok(olena.asked.every(request => !request.url().includes(token) || request.isNavigationRequest()));
});

test('who calls in vain is in the waiting list at once, with what is owed to them', async () => {
    const olena = await (await agent()).comes();
    await olena.says(olena.page.locator('.list'), /Nobody waits/);
    await desk.call('+380441234567', { name: 'Олена Коваль' });
    await olena.says(olena.waiting, /Phone.*Олена Коваль.*Missed call, rang 21 sec.*Callback/s);
    await olena.says(olena.page.getByTestId('polite'), /Олена Коваль waits, Phone/);
    await olena.says(olena.page.getByTestId('waiting-count'), '1');
});

test('a conversation is taken by keyboard, and everybody sees it at once', async () => {
    const [olena, mia] = [await (await agent()).comes(), await (await agent(await desk.hire('mia'))).comes()];
    await desk.call('+380441234567', { name: 'First' });
    await olena.says(olena.waiting, /First/);
    await desk.call('+380671112233', { name: 'Second' });
    for (const one of [olena, mia]) await olena.says(one.page.getByTestId('waiting-count'), '2');
    await mia.opens('Second');
    const { keyboard } = olena.page;
    const named = () => olena.page.evaluate(() => document.activeElement.textContent.includes('Second'));
    await keyboard.press('j');
    for (let i = 0; i < 3 && !(await named()); i += 1) await keyboard.press('j');
    await keyboard.press('k');
    await keyboard.press('j');
    await keyboard.press('Enter');
    await olena.page.locator('h1', { hasText: 'Second' }).waitFor();
    await keyboard.press('c');
    await olena.says(olena.page.getByTestId('owner'), 'With: you');
    await olena.says(olena.mine, /Second/);
    await mia.says(mia.page.getByTestId('owner'), 'With: olena');
    await mia.says(mia.page.getByTestId('waiting-count'), '1');
    await becomes(() => mia.page.getByRole('button', { name: 'Claim' }).count(), 0);
    // The next one is one key away.
    await mia.page.locator('#main').focus();
    await mia.page.keyboard.press('n');
    await mia.page.locator('h1', { hasText: 'First' }).waitFor();
    await mia.says(mia.page.getByTestId('owner'), 'With: you');
    await olena.says(olena.page.getByTestId('waiting-count'), '0');
});

test('an answer reaches a visitor in the chat, theirs comes back, and the matter is closed', async () => {
    const visitor = await site.visitor();
    const tab = await visitor.tab('', `${desk.url}/chat/${SOURCE}/demo`);
    const olena = await (await agent()).comes();
    await tab.open();
    await tab.write('Do you have these in 42?');
    await olena.says(olena.waiting, /Chat.*Do you have these in 42\?/s);
    await olena.page.keyboard.press('j');
    await olena.page.keyboard.press('Enter');
    await olena.says(olena.entries, /Do you have these in 42\?/);
    await olena.page.keyboard.press('r');
    await olena.page.keyboard.type('Yes, two pairs.');
    await olena.page.keyboard.press('Shift+Enter');
    await olena.page.keyboard.type('Shall I put one aside?');
    await olena.page.keyboard.press('Enter');
    await tab.shows(['Do you have these in 42?'], ['Yes, two pairs.\nShall I put one aside?']);
    await becomes(() => olena.composer.inputValue(), '');
    await olena.says(olena.entries.last(), /Yes, two pairs.*Sent/s);
    await olena.says(olena.page.getByTestId('owner'), 'With: you');
    await tab.write('Please do');
    await olena.says(olena.entries.last(), /Please do/);
    await olena.says(olena.page.getByTestId('polite'), /Please do/);
    await olena.page.keyboard.press('Escape');
    await olena.page.keyboard.press('e');
    await olena.says(olena.page.getByTestId('status'), 'Resolved');
    await olena.says(olena.page.locator('section[aria-labelledby="mine-title"]'), /Nothing is yours/);
    await olena.page.getByRole('button', { name: 'Reopen' }).click();
    await olena.says(olena.page.getByTestId('status'), /^Open|^Waits/);
    await visitor.leave();
});
