// What an agent does. Each is one write; while it runs its place is busy, and what went wrong is shown there.
import { write } from './api.js';
import { announce, changed, desk } from './desk.js';
import { called } from './format.js';
import { go } from './route.js';
import { learn } from './known.js';
import { ageMerges, loadTimeline, readMe, refreshCard } from './reads.js';
import { t } from './words.js';

// Runs `act` for `place`, unless something runs there. Gives whether it succeeded.
export async function run(place, act) {
    if (desk.busy.has(place)) return false;
    desk.busy.add(place);
    desk.problems.delete(place);
    changed();
    try {
        await act();
        return true;
    } catch (problem) {
        desk.problems.set(place, problem);
        return false;
    } finally {
        desk.busy.delete(place);
        changed();
    }
}

const on = (id, verb, body) => write('POST', `/v1/conversations/${id}/${verb}`, body);
const place = id => `conversation:${id}`;

const settled = (id, verb, body) =>
    run(place(id), async () => {
        learn(await on(id, verb, body));
    });

export const claim = id => settled(id, 'claim');
export const resolve = id => settled(id, 'resolve');
export const reopen = id => settled(id, 'reopen');
export const assign = (id, to) => settled(id, 'assign', { to });
export const snooze = (id, until) => settled(id, 'snooze', { until });
export const owe = (id, note) => settled(id, 'callback', note ? { note } : {});
export const done = id => settled(id, 'callback/done');

export const reply = (id, text) =>
    run(`composer:${id}`, async () => {
        await on(id, 'replies', { text });
    });

export const note = (client, conversation, text) =>
    run(`composer:${conversation ?? client}`, async () => {
        await write('POST', `/v1/clients/${client}/notes`, conversation ? { text, conversation } : { text });
    });

// Takes the first of the list that suits us, and opens it.
export const next = () =>
    run('next', async () => {
        const { conversation } = await write('POST', '/v1/me/next');
        if (!conversation) {
            desk.problems.set('next', { message: t('nobody_suits') });
            return;
        }
        learn(conversation);
        go('conversation', conversation.id);
        announce(t('say_taken', { who: called(conversation.client, conversation.last_entry) }));
    });

export const accept = offer =>
    answer(offer, 'accept', conversation => {
        learn(conversation);
        go('conversation', conversation.id);
    });

export const decline = offer => answer(offer, 'decline', () => {});

async function answer(offer, verb, then) {
    const place = `offer:${offer.id}`;
    desk.problems.delete('offers');
    const done = await run(place, async () => {
        const answer = await write('POST', `/v1/reservations/${offer.id}/${verb}`);
        desk.offers.delete(offer.id);
        then(answer);
    });
    const problem = desk.problems.get(place);
    if (done || problem?.isOpen !== false) return;
    // An offer that is over goes, and with it the place where that could be said.
    desk.offers.delete(offer.id);
    desk.problems.delete(place);
    desk.problems.set('offers', problem);
    changed();
}

export const presence = presence =>
    run('me', async () => {
        await write('PUT', '/v1/me/presence', { presence });
        await readMe();
    });

export const profile = profile =>
    run('profile', async () => {
        await write('PUT', '/v1/me', profile);
        await readMe();
    });

export const change = (client, what, place = `card:${client}`) =>
    run(place, async () => {
        await write('PATCH', `/v1/clients/${client}`, what);
        await refreshCard(client);
    });

export const merge = (client, other, reason) =>
    run(`candidate:${other}`, async () => {
        await write('POST', `/v1/clients/${client}/merge`, { client: other, reason });
        announce(t('say_merged'));
        ageMerges(client);
        await refreshCard(client);
        await loadTimeline(`client:${client}`, { again: true });
    });

export const undo = (client, merge, reason) =>
    run(`merge:${merge}`, async () => {
        await write('POST', `/v1/merges/${merge}/undo`, { reason });
        announce(t('say_unmerged'));
        ageMerges(client);
        await refreshCard(client);
        await loadTimeline(`client:${client}`, { again: true });
    });

export const keepApart = (client, other, reason) =>
    run(`candidate:${other}`, async () => {
        await write('POST', `/v1/clients/${client}/apart`, { client: other, reason });
        await refreshCard(client);
    });
