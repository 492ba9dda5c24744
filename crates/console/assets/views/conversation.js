// One conversation: whose it is, what can be done with it, and the whole history of its client.
import { assign, claim, done, owe, reopen, resolve, snooze } from '../acts.js';
import { present } from '../clock.js';
import { desk, isMine, promise } from '../desk.js';
import { called, moment } from '../format.js';
import { html, useEffect } from '../html.js';
import { link } from '../route.js';
import { loadConversation, timelineKey } from '../reads.js';
import { said, t } from '../words.js';
import { Composer } from './composer.js';
import { Channel, Icon } from './icons.js';
import { Menu } from './menu.js';
import { Due, Since } from './ticking.js';
import { Timeline } from './timeline.js';
import { Trouble } from './trouble.js';

export function Conversation({ id }) {
    useEffect(() => void loadConversation(id), [id]);
    const conversation = desk.conversations.get(id);
    if (!conversation) {
        return html`<main class="middle" id="main" tabindex="-1"><h1 class="unseen">${t('conversation')}</h1>
            <${Trouble} at=${`conversation:${id}`} again=${() => loadConversation(id, true)} words=${t('again')} />
            ${!desk.problems.has(`conversation:${id}`) && html`<p class="empty">${t('reading')}</p>`}
        </main>`;
    }
    const client = conversation.client?.id;
    return html`<main class="middle" id="main" tabindex="-1" data-conversation=${id}>
        <${Head} conversation=${conversation} />
        <${Timeline} key=${timelineKey(id, client)} of=${timelineKey(id, client)} who=${client && called(conversation.client)} conversation=${id} />
        <${Composer} key=${id} conversation=${conversation} />
    </main>`;
}

function Head({ conversation }) {
    const { id, client, status, assignee, callback, waiting_since: since, snoozed_until: until } = conversation;
    const running = promise(conversation);
    const due = running?.due_at ?? conversation.due_at;
    const place = `conversation:${id}`;
    return html`<header class="head">
        <div class="title">
            <a class="button quiet back" href=${link('desk')}><${Icon} name="back" /><span class="unseen">
                ${t('back')}</span></a>
            <h1>${called(client, conversation.last_entry)}</h1>
            ${client?.segment && html`<span class="tag">${client.segment}</span>`}
            <a class="button quiet to-card" href="#card" onClick=${toCard}>${t('client')}</a>
        </div>
        <p class="facts">
            <span><${Channel} name=${conversation.channel} /> ${conversation.queue}</span>
            <span class="state" data-testid="status">
                ${said('status', status)}${status === 'snoozed' && until ? ` ${t('until', { at: moment(until) })}` : ''}</span>
            <span data-testid="owner">
                ${assignee ? t('owned_by', { who: isMine(conversation) ? t('you') : assignee }) : t('nobodys')}</span>
            ${since && html`<span>${t('waits_for')} <${Since} at=${since} /></span>`}
            ${callback && !callback.done_at && html`<span>
                ${t('callback_owed', { n: callback.attempts })}</span>`}
            ${due && html`<${Due} at=${due} state=${running?.state} kind=${running?.kind} />`}
        </p>
        ${desk.me?.role !== 'reader' && html`<${Deeds} conversation=${conversation} />`}
        <${Trouble} at=${place} />
    </header>`;
}

// The card is a pane of its own where there is no room beside.
function toCard(event) {
    event.preventDefault();
    const card = document.getElementById('card');
    document.body.classList.add('shows-card');
    card?.focus();
}

function Deeds({ conversation }) {
    const { id, status, assignee, callback } = conversation;
    const busy = desk.busy.has(`conversation:${id}`);
    const owed = callback && !callback.done_at;
    const open = status !== 'resolved';
    const button = (words, act, { primary, key, shown = true } = {}) =>
        shown &&
        html`<button type="button" class=${primary ? 'primary' : ''} disabled=${busy} aria-keyshortcuts=${key} onClick=${act}>${words}${key && html`<kbd aria-hidden="true">${key}</kbd>`}</button>`;
    return html`<div class="deeds" role="group" aria-label=${t('deeds')}>
        ${button(t('claim'), () => claim(id), { primary: true, key: 'c', shown: open && assignee === null })}
        ${button(t('resolve'), () => resolve(id), { key: 'e', shown: open })}
        ${button(t('reopen'), () => reopen(id), { primary: true, shown: !open })}
        ${button(t('called_back'), () => done(id), { shown: open && owed })}
        ${open && html`<${Choices} words=${t('snooze')} busy=${busy} choices=${moments().map(([words, at]) => [words, () => snooze(id, at.toISOString())])} />`}
        ${open && html`<${Choices} words=${t('assign')} busy=${busy} choices=${heirs(conversation).map(([words, to]) => [words, () => assign(id, to)])} />`}
        ${button(t('owe_call'), () => owe(id), { shown: open && !owed })}
    </div>`;
}

const Choices = ({ words, choices, busy }) =>
    html`<${Menu} words=${words}>
        ${choices.map(([words, act]) => html`<button type="button" key=${words} disabled=${busy} onClick=${act}>${words}</button>`)}<//>`;

// Until when it may rest: in an hour, in three, tomorrow morning, on Monday morning.
function moments() {
    const at = (days, hour) => {
        const day = new Date(present());
        day.setDate(day.getDate() + days);
        day.setHours(hour, 0, 0, 0);
        return day;
    };
    const hours = count => new Date(present() + count * 36e5);
    const monday = (8 - new Date(present()).getDay()) % 7 || 7;
    return [
        [t('in_hours', { n: 1 }), hours(1)],
        [t('in_hours', { n: 3 }), hours(3)],
        [t('tomorrow'), at(1, 9)],
        [t('monday'), at(monday, 9)],
    ];
}

function heirs({ assignee }) {
    const names = [...desk.agents.keys()].filter(name => name !== assignee).sort();
    const choices = names.map(name => [name, name]);
    return assignee === null ? choices : [...choices, [t('to_nobody'), null]];
}
