// What this page knows at this moment. Filled by `sync`, shown by the views, which are drawn anew after a change.

// As many of those that wait are shown at first, and so many more when asked for.
export const SHOWN = 50;

export const desk = fresh();

function fresh() {
    return {
        // 'connecting' | 'live' | 'away' | 'refused'
        link: 'connecting',
        // Whether the lists were read once.
        known: false,
        // Who we are: `{ name, role, profile, presence, load }`.
        me: null,
        // By id. Conversations that wait, that are ours, and the one that is open. One that changed is another object.
        conversations: new Map(),
        // Reservations that we may accept.
        offers: new Map(),
        agents: new Map(),
        // Client cards by client.
        cards: new Map(),
        candidates: new Map(),
        // Whom each client is made of: `{ items, isOld }`. What is old is shown until it was read anew.
        merges: new Map(),
        // Timelines by `client:…` or `conversation:…`: `{ entries: Map, next, channel, state, problem }`.
        timelines: new Map(),
        // Calls that ring at our extension: `{ entry, client }`, the newest first.
        rings: [],
        // Only this queue of the waiting list; '' is all.
        queue: '',
        // More wait than were read: where the next page begins, and the last one of this side of it.
        more: null,
        edge: null,
        // How many of them are shown.
        shown: SHOWN,
        // The names of all queues anybody waited in.
        queues: new Set(),
        // Writes that run, and what went wrong last, by the place where it is to be shown.
        busy: new Set(),
        problems: new Map(),
        // What a screen reader says next, and how urgently.
        spoken: { polite: '', assertive: '' },
    };
}

export function forget() {
    Object.assign(desk, fresh());
}

let draw = () => {};
let due = false;
// What is said, and not drawn yet.
const unheard = { polite: false, assertive: false };

export function onChange(redraw) {
    draw = redraw;
}

// Something changed: it is drawn with the next frame, once for all changes until then.
export function changed() {
    if (due) return;
    due = true;
    // A hidden page gets no frames.
    const soon = document.visibilityState === 'visible' ? requestAnimationFrame : done => setTimeout(done, 100);
    soon(() => {
        due = false;
        Object.assign(unheard, { polite: false, assertive: false });
        draw();
    });
}

// Says it to who cannot see it. The same words twice in a row are two announcements.
export function announce(words, urgency = 'polite') {
    const before = desk.spoken[urgency];
    // Two within one frame are said one after the other.
    if (unheard[urgency]) desk.spoken[urgency] = `${before}. ${words}`;
    else desk.spoken[urgency] = before === words ? `${words}\u00a0` : words;
    unheard[urgency] = true;
    changed();
}

// --- what is asked of it

export const isMine = conversation => desk.me !== null && conversation.assignee === desk.me.name;

export const waits = conversation => conversation?.status === 'open' && conversation.assignee === null;

// Who waits for an agent, the first to be taken first.
export function waiting() {
    const list = [...desk.conversations.values()].filter(
        one => waits(one) && isWithinReach(one),
    );
    return list.sort(inOrder);
}

// Whether it belongs to the part of the list that was read. What stands behind is read when its turn comes.
export const isWithinReach = one =>
    (!desk.queue || one.queue === desk.queue) && (desk.edge === null || inOrder(one, desk.edge) <= 0);

export function mine() {
    const list = [...desk.conversations.values()].filter(one => isMine(one) && one.status !== 'resolved');
    const urgency = one => (one.status === 'open' ? 0 : one.status === 'pending' ? 1 : 2);
    return list.sort((a, b) => urgency(a) - urgency(b) || order(soonest(a), soonest(b)) || order(b.updated_at, a.updated_at));
}

const soonest = one => one.due_at ?? '9999';
const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function inOrder(a, b) {
    // Who has no place in the list yet stands behind who has.
    const [left, right] = [a.rank ?? Infinity, b.rank ?? Infinity];
    return order(left, right) || order(a.id, b.id);
}

export const queues = () =>
    [...new Set([...desk.queues, ...(desk.me?.profile?.queues ?? [])])].sort();

// The running promise that is due first.
export const promise = conversation =>
    (conversation.promises ?? [])
        .filter(one => ['running', 'warned', 'breached'].includes(one.state) && one.due_at)
        .sort((a, b) => order(a.due_at, b.due_at))[0] ?? null;

// A timeline, the oldest first.
export const entries = timeline =>
    [...timeline.entries.values()].sort((a, b) => order(a.occurred_at, b.occurred_at) || order(a.id, b.id));
