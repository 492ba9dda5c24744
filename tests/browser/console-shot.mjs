// Writes pictures of the console: `FRONTDESK=…/frontdesk node console-shot.mjs`, into the console's screenshots/.
import { mkdirSync } from 'node:fs';
import { Agent, House } from './console.mjs';
import { Site } from './site.mjs';

const folder = new URL('../../crates/console/screenshots/', import.meta.url).pathname;
mkdirSync(folder, { recursive: true });

class Clinic extends House {
    static settings = `
[routing.otherwise]
promises.first_response = { within_s = 900 }
promises.next_response = { within_s = 1800 }
promises.callback = { within_s = 3600 }
[routing.rules.post]
order = 10
when = "event.channel == 'email'"
queue = "post"
promises.first_response = { within_s = 14400 }
`;
}

// A call some hours ago, as the telephone system told of it.
async function past(hours, from, talked) {
    const sid = `CA${String(from).padStart(32, '0')}`;
    const at = seconds => new Date(Date.now() - hours * 36e5 + seconds * 1e3).toUTCString().replace('GMT', '+0000');
    const call = { CallSid: sid, From: `+38067${from}`, To: '+380800500500', Direction: 'inbound' };
    const told = (after, fields) => desk.hook({ ...call, Timestamp: at(after), ...fields });
    await told(0, { CallStatus: 'ringing' });
    if (talked) await told(6 + (from % 9), { CallStatus: 'in-progress' });
    await told(30 + talked, { CallStatus: talked ? 'completed' : 'no-answer', CallDuration: String(talked) });
}

const site = await Site.open();
const desk = await Clinic.open();
const token = await desk.hire('olena', 'supervisor');
await desk.call('+380671112233', { name: 'Ivan Petrenko' });
await desk.call('+380501234567', { story: 'answered', name: 'Maria Bondar' });
await desk.call('+380441234567', { name: 'Олена Коваль' });
await desk.mail('olena@example.com', {
    name: 'Олена Коваль',
    subject: 'The chair wobbles',
    text: 'Good afternoon!\n\nThe chair you brought on Tuesday wobbles. Can it be exchanged? The order is 4711.',
});
await desk.mail('warehouse@example.com', { name: 'Kyiv Warehouse', subject: 'Delivery on Friday', text: 'We come at ten.' });
await desk.chat('Do you deliver on Saturday?', { user: 'guest' });
const olena = { user: 'olena', phone: '+380441234567', email: 'olena@example.com', name: 'Олена Коваль' };
await desk.chat('Hello, I have just called. Is anybody there?', olena);

const agent = await Agent.at(site, desk, token);
await agent.comes();
await agent.opens('Is anybody there?');
await agent.page.keyboard.press('c');
await agent.mine.first().waitFor();
await agent.composer.fill('Good afternoon, Olena! I see your call and your mail about the chair. We shall exchange it.');
await agent.composer.press('Enter');
await agent.entries.filter({ hasText: 'We shall exchange it' }).filter({ hasText: 'Sent' }).waitFor();
await desk.chat('Thank you! Can you come on Thursday?', olena);
await agent.entries.filter({ hasText: 'Thursday' }).waitFor();
await agent.composer.fill('Yes, between ten and noon');
const shot = name => agent.page.screenshot({ path: `${folder}${name}.png`, animations: 'disabled' });
await shot('desktop');
await agent.page.setViewportSize({ width: 360, height: 740 });
await shot('phone');
await agent.page.setViewportSize({ width: 1280, height: 800 });
let from = 5550100;
for (let hours = 23; hours > 1; hours -= 1) {
    const calls = Math.max(1, Math.round(4 - Math.abs(12 - hours) / 3));
    for (let i = 0; i < calls; i += 1) await past(hours, (from += 1), i === 2 ? 0 : 40 + 13 * i + hours);
}
await agent.page.goto(`${desk.url}/console/#/board`);
await agent.page.locator('.tile').first().waitFor();
await shot('board');
await agent.leaves();
await desk.end();
await site.close();
