// The client at the side: who they are, how they want to be reached, what else is open, why it came here.
import { change } from '../acts.js';
import { desk } from '../desk.js';
import { called, line, when } from '../format.js';
import { html, useEffect, useLayoutEffect, useRef, useState } from '../html.js';
import { link } from '../route.js';
import { loadCard, refreshCard } from '../reads.js';
import { said, t } from '../words.js';
import { Candidates } from './candidates.js';
import { Hours } from './hours.js';
import { Channel, Icon } from './icons.js';
import { Merges } from './merges.js';
import { Due } from './ticking.js';
import { Trouble } from './trouble.js';
import { Why } from './why.js';

const REACHED = ['phone', 'email', 'chat'];

export function Card({ client: id, conversation }) {
    const pane = useRef(null);
    // What has the focus may go with what is drawn now, be it that the conversation is another client's: then the card
    // has it.
    const hasFocus = pane.current?.contains(document.activeElement);
    useLayoutEffect(() => {
        if (hasFocus && document.activeElement === document.body) pane.current.focus();
    });
    useLayoutEffect(() => void (pane.current.scrollTop = 0), [id]);
    return html`<aside class="card" id="card" aria-label=${t('client')} tabindex="-1" ref=${pane}>
        <button type="button" class="quiet from-card" onClick=${fromCard}><${Icon} name="back" />
            ${t('back')}</button>
        ${id
            ? html`<${Known} key=${id} id=${id} conversation=${conversation} />`
            : html`<section><h2>${t('unknown_client')}</h2><p class="muted">${t('unknown_client_why')}</p></section>`}
        ${conversation?.routing && html`<${Why} conversation=${conversation} />`}
    </aside>`;
}

function Known({ id, conversation }) {
    useEffect(() => void loadCard(id), []);
    const card = desk.cards.get(id);
    if (!card) {
        const failed = desk.problems.has(`card:${id}`);
        return html`<${Trouble} at=${`card:${id}`} again=${() => refreshCard(id)} words=${t('again')} />
            ${!failed && html`<p class="empty">${t('reading')}</p>`}`;
    }
    return html`<${Who} card=${card} /><${Trouble} at=${`card:${id}`} /><${Wishes} card=${card} />
        <${Candidates} client=${card.client} /><${Open} card=${card} but=${conversation?.id} />
        <${Last} card=${card} /><${Merges} client=${card.client} />`;
}

function fromCard() {
    document.body.classList.remove('shows-card');
    document.getElementById('main')?.focus();
}

function Who({ card }) {
    const { client } = card;
    const facts = [
        card.stage && [t('stage'), said('stage', card.stage)],
        client.segment && [t('segment'), client.segment],
        client.value !== null && client.value !== undefined && [t('value'), client.value],
        card.owner && [t('owner'), card.owner],
    ].filter(Boolean);
    return html`<section aria-labelledby="who">
        <h2 id="who"><a href=${link('client', client.id)}>${called(client)}</a></h2>
        ${facts.length > 0 && html`<dl class="pairs">${facts.map(([name, value]) => html`<div key=${name}><dt>
            ${name}</dt><dd>${value}</dd></div>`)}</dl>`}
        <ul class="identifiers" aria-label=${t('identifiers')}>
            ${client.identifiers.filter(one => one.kind !== 'visitor').map(one => html`<li key=${one.kind + one.value}>
                <${Channel} name=${one.kind} /><span class="value">${one.value}</span>
                    <span class=${`tag ${one.level}`}>${said('level', one.level)}</span>
            </li>`)}
            ${client.identifiers.some(one => one.kind === 'visitor') && html`<li><${Channel} name="chat" />
                <span class="muted">${t('visitors', { n: client.identifiers.filter(one => one.kind === 'visitor').length })}</span></li>`}
        </ul>
        ${card.promise?.due_at && html`<p>
            ${t(`promise_${card.promise.kind}`)}: <${Due} at=${card.promise.due_at} state=${card.promise.state} kind=${card.promise.kind} /></p>`}
    </section>`;
}

// How they want to be reached. What is refused here is refused everywhere from now on.
function Wishes({ card }) {
    const { client } = card;
    const wishes = card.preferences ?? {};
    // What is being asked for is shown as if it were granted; what is refused falls back.
    const [asked, ask] = useState({});
    const denied = channel => asked[channel] ?? (wishes.channels?.[channel]?.permission ?? client.permissions?.[channel]) === 'deny';
    const mayAct = desk.me?.role !== 'reader';
    const busy = desk.busy.has(`card:${client.id}`) || !mayAct;
    const set = async (channel, allowed) => {
        ask({ [channel]: !allowed });
        await change(client.id, { permissions: { [channel]: allowed ? 'allow' : 'deny' } });
        ask({});
    };
    return html`<section aria-labelledby="wishes">
        <h2 id="wishes">${t('wishes')}</h2>
        <ul class="switches">
            ${REACHED.map(channel => {
                const said_ = wishes.channels?.[channel];
                return html`<li key=${channel}><label class="check">
                    <input type="checkbox" role="switch" checked=${!denied(channel)} disabled=${busy} onChange=${event => set(channel, event.target.checked)} />
                    ${t(`channel_${channel}`)}</label>
                    <span class=${denied(channel) ? 'denied' : 'muted'}>
                        ${denied(channel) ? t('unwanted') : t('welcome')}${said_?.by ? ` · ${said_.by}, ${when(said_.at)}` : ''}</span></li>`;
            })}
        </ul>
        ${'preferred_channel' in wishes && html`<div class="choices">
            <label>${t('preferred')} <select value=${wishes.preferred_channel ?? ''} disabled=${busy} onChange=${event => change(client.id, { preferred_channel: event.target.value || null })}>
                <option value="">${t('no_wish')}</option>
                    ${REACHED.map(one => html`<option value=${one} key=${one}>
                    ${t(`channel_${one}`)}</option>`)}
            </select></label>
            <label>${t('their_language')} <select value=${wishes.language ?? ''} disabled=${busy} onChange=${event => change(client.id, { language: event.target.value || null })}>
                <option value="">${t('no_wish')}</option>
                    ${[...new Set(['uk', 'ru', 'en', wishes.language].filter(Boolean))].map(one => html`<option value=${one} key=${one}>${one}</option>`)}
            </select></label>
        </div>
        <${Hours} client=${client.id} hours=${wishes.hours ?? null} mayAct=${mayAct} />`}
    </section>`;
}

function Open({ card, but }) {
    const others = (card.conversations ?? []).filter(one => one.id !== but && one.status !== 'resolved');
    if (!others.length) return null;
    return html`<section aria-labelledby="open">
        <h2 id="open">${t('also_open')} <span class="count">${others.length}</span></h2>
        <ul class="short">${others.map(one => html`<li key=${one.id}><a href=${link('conversation', one.id)}>
            <${Channel} name=${one.channel} /> <span>
            ${one.last_entry ? line(one.last_entry) : one.queue}</span></a>
            <span class="muted">${one.assignee ?? t('nobodys')}</span></li>`)}</ul>
    </section>`;
}

function Last({ card }) {
    const last = REACHED.map(channel => [channel, card.last_contacts?.[channel]]).filter(([, entry]) => entry);
    if (!last.length) return null;
    return html`<section aria-labelledby="last">
        <h2 id="last">${t('last_contacts')}</h2>
        <ul class="short">${last.map(([channel, entry]) => html`<li key=${channel}>
            <${Channel} name=${channel} /> <span>${line(entry)}</span> <span class="muted">
            ${when(entry.occurred_at)}</span></li>`)}</ul>
    </section>`;
}
