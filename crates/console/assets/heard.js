// What the line tells, one change after the other. Each costs the same, however many wait.
import { tell, untell } from './aloud.js';
import { present } from './clock.js';
import { announce, changed, desk, isMine, waits } from './desk.js';
import { called, line } from './format.js';
import { hear, hearOf, learn, put } from './known.js';
import { ageMerges, isOffer, moved, refreshSoon } from './reads.js';
import { t } from './words.js';

// A call that rings for longer has been forgotten by its telephone system.
const RINGS_FOR = 120e3;
// Of how many that wait it is remembered that they were told of.
const MOST_TOLD = 5000;

// What a change was about may be gone by now; then it is null.
export function take(name, data) {
    if (!data?.[name === 'deadline' ? 'conversation' : name]) return;
    hear();
    TOLD[name]?.(data);
    changed();
}

const TOLD = { entry, conversation, client, reservation, deadline, agent };

function entry({ entry, client, rings = [] }) {
    for (const [key, timeline] of desk.timelines) {
        const held = timeline.entries.get(entry.id);
        const belongs = key === `client:${entry.client}` || key === `conversation:${entry.conversation}`;
        // It went to another client.
        if (held && !belongs && held.rev < entry.rev) timeline.entries.delete(entry.id);
        if (belongs && (!timeline.channel || timeline.channel === entry.channel)) put(timeline, entry);
    }
    const known = desk.conversations.get(entry.conversation);
    if (known && !(known.last_entry?.occurred_at > entry.occurred_at)) {
        desk.conversations.set(known.id, { ...known, last_entry: entry });
    }
    if (entry.client) refreshSoon(entry.client);
    const isNew = entry.rev === 1 && entry.direction === 'inbound' && entry.kind === 'contact';
    if (isNew && known && isMine(known)) {
        tell('wrote', entry.id, t('say_wrote', { who: called(known.client), what: line(entry) }));
    }
    ring(entry, client, rings);
}

function ring(entry, client, rings) {
    const at = desk.rings.findIndex(one => one.entry.id === entry.id);
    if (entry.channel !== 'phone' || entry.kind !== 'contact') return;
    if (entry.content?.state !== 'ringing') {
        // Answered or ended; what was answered stays until it is put away.
        if (at >= 0 && entry.content?.state === 'ended') desk.rings.splice(at, 1);
        else if (at >= 0) desk.rings[at].entry = entry;
        return;
    }
    if (at >= 0 || !rings.includes(desk.me?.name) || present() - Date.parse(entry.recorded_at) > RINGS_FOR) return;
    desk.rings.unshift({ entry, client });
    desk.rings.length = Math.min(desk.rings.length, 3);
    announce(t('say_rings', { who: called(client?.client ?? client ?? { name: entry.content?.from?.value }) }), 'assertive');
}

// Who waits and was told of, also of those that stand too far behind to be kept.
const told = new Set();

function conversation({ conversation, client }) {
    const { id } = conversation;
    if (conversation.continued_in) {
        moved('conversation', id, conversation.continued_in);
        return;
    }
    const before = desk.conversations.get(id);
    hearOf(id);
    learn(conversation);
    if (conversation.client) refreshSoon(conversation.client.id);
    if (!waits(conversation)) {
        told.delete(id);
        untell('waits', id);
    } else if (!waits(before) && !told.has(id) && (!desk.queue || desk.queue === conversation.queue)) {
        told.add(id);
        if (told.size > MOST_TOLD) told.delete(told.keys().next().value);
        const who = called(conversation.client, conversation.last_entry);
        tell('waits', id, t('say_waits', { who, how: t(`channel_${conversation.channel}`) }));
    }
    if (client) taken(client);
}

function client({ client }) {
    if (client.merged_into) return moved('client', client.id, client.merged_into);
    taken(client);
    ageMerges(client.id);
    refreshSoon(client.id);
}

function taken(one) {
    const card = desk.cards.get(one.id);
    if (card) card.client = { ...card.client, ...one };
    for (const [id, known] of desk.conversations) {
        if (known.client?.id !== one.id) continue;
        desk.conversations.set(id, { ...known, client: { ...known.client, name: one.name, segment: one.segment } });
    }
}

function reservation({ reservation }) {
    hearOf(reservation.id);
    if (!isOffer(reservation)) {
        desk.offers.delete(reservation.id);
        return;
    }
    const isNew = !desk.offers.has(reservation.id);
    desk.offers.set(reservation.id, reservation);
    if (isNew) announce(t('say_offer', { who: called(reservation.conversation?.client, reservation.conversation?.last_entry) }), 'assertive');
}

function deadline({ conversation, notice }) {
    hearOf(conversation.id);
    learn(conversation);
    if (isMine(conversation) || notice === 'breached') {
        tell(notice, conversation.id, t(`say_${notice}`, { who: called(conversation.client, conversation.last_entry) }));
    }
}

function agent({ agent }) {
    desk.agents.set(agent.name, agent);
    if (agent.name === desk.me?.name) desk.me = { ...desk.me, ...agent };
}
