// Writes pictures of the demo page with an open chat: `node shot.mjs`, into screenshots/.
import { mkdirSync } from 'node:fs';
import { SOURCE, standIn } from './desk.mjs';
import { Site } from './site.mjs';

const folder = new URL('screenshots/', import.meta.url).pathname;
mkdirSync(folder, { recursive: true });
const site = await Site.open();
const desk = await standIn([site.url]);
site.desk = desk.url;
const pictures = {
    desktop: [{ viewport: { width: 1180, height: 660 } }, 'en'],
    ukrainian: [{ viewport: { width: 1180, height: 660 } }, 'uk'],
    phone: [{ viewport: { width: 360, height: 640 }, hasTouch: true }, 'ru'],
};
const said = {
    en: [
        'Good afternoon! Do you have these boots in 42?',
        'Hello! Yes, two pairs. Shall I put one aside for you?',
        'Yes, please, I come tomorrow',
    ],
    uk: [
        'Добрий день! Чи є ці черевики 42 розміру?',
        'Вітаю! Так, дві пари. Відкласти для вас?',
        'Так, будь ласка, зайду завтра',
    ],
    ru: [
        'Добрый день! Есть ли эти ботинки 42 размера?',
        'Здравствуйте! Да, две пары. Отложить для вас?',
        'Да, пожалуйста, зайду завтра',
    ],
};
for (const [name, [options, lang]] of Object.entries(pictures)) {
    const visitor = await site.visitor(options);
    const tab = await visitor.tab('', `${desk.url}/chat/${SOURCE}/demo`);
    await tab.page.check(`#${lang}`);
    await tab.open();
    const [question, answer, thanks] = said[lang];
    await tab.write(question);
    await tab.shows([question, 'sent']);
    await desk.say(answer);
    await tab.shows([question], [answer]);
    await tab.write(thanks);
    await tab.shows([question], [answer], [thanks, 'sent']);
    await tab.page.screenshot({ path: `${folder}${name}.png`, animations: 'disabled' });
    await visitor.leave();
}
await desk.end();
await site.close();
