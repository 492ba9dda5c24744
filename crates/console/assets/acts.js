// What an agent does. Each is one write; while it runs its place is busy, and what went wrong is shown there.
import { act, write } from './api.js';
import { announce, changed, desk } from './desk.js';
import { called } from './format.js';
import { go } from './route.js';
import { hear, hearOf, learn, now } from './known.js';
import { ageMerges, loadConversation, loadTimeline, readMe, refreshCard } from './reads.js';
import { t } from './words.js';

// Runs `deed` for `place`, unless something runs there. Gives whether it succeeded.
export async function run(place, deed) {
    if (desk.busy.has(place)) return false;
    desk.busy.add(place);
    desk.problems.delete(place);
    changed();
    try {
        await deed();
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
        await does(`/v1/conversations/${id}/${verb}`, body);
    });

// Does what gives a conversation, and takes it as it stands since; of the answer `of` is the conversation.
async function does(path, body, of = answer => answer) {
    const before = now();
    const { said, isOld } = await act('POST', path, body);
    const conversation = of(said);
    if (conversation && isOld) await loadConversation(conversation.id, true);
    else if (conversation) learn(conversation, before);
    return conversation;
}

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
        const conversation = await does('/v1/me/next', undefined, answer => answer.conversation);
        if (!conversation) {
            desk.problems.set('next', { message: t('nobody_suits') });
            return;
        }
        go('conversation', conversation.id);
        announce(t('say_taken', { who: called(conversation.client, conversation.last_entry) }));
    });

export const accept = offer =>
    answer(offer, async () => {
        const conversation = await does(`/v1/reservations/${offer.id}/accept`);
        over(offer);
        go('conversation', conversation.id);
    });

export const decline = offer =>
    answer(offer, async () => {
        await write('POST', `/v1/reservations/${offer.id}/decline`);
        over(offer);
    });

// A list of offers that was on its way meanwhile does not bring it back.
function over(offer) {
    hear();
    hearOf(offer.id);
    desk.offers.delete(offer.id);
}

async function answer(offer, deed) {
    const place = `offer:${offer.id}`;
    desk.problems.delete('offers');
    const done = await run(place, deed);
    const problem = desk.problems.get(place);
    if (done || problem?.isOpen !== false) return;
    // An offer that is over goes, and with it the place where that could be said.
    over(offer);
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
