// What there is to do: what is offered to us, what is ours, who waits.
import { accept, decline, next } from '../acts.js';
import { changed, desk, mine, promise, queues, SHOWN, waiting } from '../desk.js';
import { called, line } from '../format.js';
import { html, useEffect } from '../html.js';
import { link, route } from '../route.js';
import { chooseQueue, moreWaiting, readAll } from '../reads.js';
import { said, spoken, t } from '../words.js';
import { Channel } from './icons.js';
import { Due, Since, useClock } from './ticking.js';
import { Trouble } from './trouble.js';

export function List() {
    const [ours, waits] = [mine(), waiting()];
    const mayAct = desk.me?.role !== 'reader';
    // Thousands may wait: the first of them are shown, and the next are read before these are gone.
    useEffect(() => {
        const isShort = desk.more !== null && waits.length < desk.shown;
        if (isShort && !desk.busy.has('waiting') && !desk.problems.has('lists')) moreWaiting();
    });
    const showMore = () => {
        desk.shown += SHOWN;
        changed();
    };
    return html`<nav class="list" id="list" aria-label=${t('list')} tabindex="-1">
        <${Trouble} at="lists" again=${readAll} words=${t('again')} />
        <${Trouble} at="offers" again=${dismiss} words=${t('close')} />
        <${Offers} />
        ${mayAct &&
        html`<section aria-labelledby="mine-title">
            <h2 id="mine-title">${t('mine')} <span class="count">${ours.length}</span></h2>
            ${ours.length
                ? html`<ul class="rows">
                    ${ours.map(one => row(one, false))}</ul>`
                : html`<p class="empty">${desk.known ? t('nothing_mine') : t('reading')}</p>`}
        </section>`}
        <section aria-labelledby="waiting-title">
            <div class="bar">
                <h2 id="waiting-title">${t('waiting')} <span class="count" data-testid="waiting-count">
                    ${waits.length}${desk.more ? '+' : ''}</span></h2>
                <${Queues} />
                ${mayAct &&
                html`<button type="button" class="primary small" aria-keyshortcuts="n" disabled=${desk.busy.has('next') || !waits.length} onClick=${next}>${t('next')}</button>`}
            </div>
            <${Trouble} at="next" />
            ${waits.length
                ? html`<ol class="rows" data-testid="waiting">
                    ${waits.slice(0, desk.shown).map(one => row(one, true))}</ol>`
                : html`<p class="empty">${desk.known ? t('nobody_waits') : t('reading')}</p>`}
            ${(desk.more || waits.length > desk.shown) && html`<button type="button" class="quiet wide" disabled=${desk.busy.has('waiting')} onClick=${showMore}>
                ${t('more')}</button>`}
        </section>
    </nav>`;
}

function dismiss() {
    desk.problems.delete('offers');
    changed();
}

function Queues() {
    const names = queues();
    if (names.length < 2 && !desk.queue) return null;
    return html`<label class="queue"><span class="unseen">${t('queue')}</span>
        <select value=${desk.queue} onChange=${event => chooseQueue(event.target.value)}>
            <option value="">${t('all_queues')}</option>
            ${names.map(name => html`<option value=${name} key=${name}>${name}</option>`)}
        </select>
    </label>`;
}

// What was drawn of a conversation that did not change since is not drawn again.
const drawn = new WeakMap();
function row(conversation, waits) {
    const now = route();
    const isOpen = now.place === 'conversation' && now.id === conversation.id;
    const as = `${waits} ${isOpen} ${spoken()}`;
    const before = drawn.get(conversation);
    if (before?.as === as) return before.row;
    const row = html`<${Row} key=${conversation.id} conversation=${conversation} waits=${waits} isOpen=${isOpen} />`;
    drawn.set(conversation, { as, row });
    return row;
}

function Row({ conversation, waits, isOpen }) {
    const { id, client, channel, last_entry: last } = conversation;
    const running = promise(conversation);
    const due = running?.due_at ?? conversation.due_at;
    const since = conversation.waiting_since ?? (waits ? (conversation.opened_at ?? last?.occurred_at) : null);
    return html`<li>
        <a class=${`row ${conversation.status}`} href=${link('conversation', id)} aria-current=${isOpen ? 'page' : null} data-id=${id}>
            <span class="who">
                <${Channel} name=${channel} />
                <span class="name">${called(client, last)}</span>
                ${client?.segment && html`<span class="tag">${client.segment}</span>`}
                ${since && html`<span class="since"><span class="unseen">${t('waits_for')} </span>
                    <${Since} at=${since} exactly /></span>`}
            </span>
            <span class="what">
                <span class="summary">${line(last)}</span>
                ${conversation.status !== 'open' && html`<span class="tag">
                    ${said('status', conversation.status)}</span>`}
                ${conversation.callback && !conversation.callback.done_at && html`<span class="tag">
                    ${t('callback')}</span>`}
                ${due && html`<${Due} at=${due} state=${running?.state} kind=${running?.kind} />`}
            </span>
        </a>
    </li>`;
}

function Offers() {
    const offers = [...desk.offers.values()];
    // Somebody who could be offered work and is not here should know why nothing comes.
    const rests = desk.me?.profile && desk.me.presence && desk.me.presence !== 'available';
    if (!offers.length) return rests ? html`<p class="empty">${t('not_offered')}</p>` : null;
    return html`<section aria-labelledby="offers-title">
        <h2 id="offers-title">${t('offers')} <span class="count">${offers.length}</span></h2>
        <ul class="rows">${offers.map(one => html`<${Offer} key=${one.id} offer=${one} />`)}</ul>
    </section>`;
}

function Offer({ offer }) {
    const now = useClock();
    const left = Math.max(0, (Date.parse(offer.until) - now) / 1000);
    const whole = Math.max(1, (Date.parse(offer.until) - Date.parse(offer.offered_at)) / 1000);
    // What is offered may have gone meanwhile.
    const { client, channel, last_entry: last } = offer.conversation ?? {};
    const place = `offer:${offer.id}`;
    // Whether it is over is for the server to say, whatever the time is here.
    const busy = desk.busy.has(place);
    return html`<li class="offer" data-testid="offer">
        <span class="who">${channel && html`<${Channel} name=${channel} />`}<span class="name">
            ${called(client, last)}</span>
            <span class="since">${t('seconds_left', { n: Math.ceil(left) })}</span></span>
        <progress max=${whole} value=${left} aria-hidden="true"></progress>
        <span class="summary">${line(last)}</span>
        <${Trouble} at=${place} />
        <span class="buttons">
            <button type="button" class="primary" disabled=${busy} onClick=${() => accept(offer)}>
                ${t('accept')}</button>
            <button type="button" disabled=${busy} onClick=${() => decline(offer)}>${t('decline')}</button>
        </span>
    </li>`;
}
