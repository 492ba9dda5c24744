// A call that rings at our extension: who it is, before it is answered. It takes no focus, and goes by itself
// when the call has ended.
import { changed, desk } from '../desk.js';
import { called, line, when } from '../format.js';
import { html } from '../html.js';
import { go } from '../route.js';
import { said, t } from '../words.js';
import { Channel, Icon } from './icons.js';
import { Since } from './ticking.js';

export const Rings = () =>
    desk.rings.length > 0 &&
    html`<aside class="rings" aria-label=${t('rings')}>
        ${desk.rings.map(ring => html`<${Ring} key=${ring.entry.id} ring=${ring} />`)}</aside>`;

function Ring({ ring }) {
    const { entry, client } = ring;
    // The card, or the client alone.
    const card = client?.client ? client : { client };
    const who = card.client;
    const close = () => {
        desk.rings = desk.rings.filter(one => one !== ring);
        changed();
    };
    const open = () => {
        close();
        if (entry.conversation) go('conversation', entry.conversation);
        else if (entry.client) go('client', entry.client);
    };
    const last = Object.entries(card.last_contacts ?? {}).filter(([, one]) => one && one.id !== entry.id);
    return html`<section class="ring" aria-label=${t('say_rings', { who: called(who) })} data-testid="ring">
        <p class="who"><${Channel} name="phone" /><strong>
            ${said('call', entry.content.state)}</strong> <${Since} at=${entry.occurred_at} exactly />
            <button type="button" class="quiet" onClick=${close}><${Icon} name="close" /><span class="unseen">
                ${t('close')}</span></button></p>
        <h2>${who ? called(who) : t('unknown_client')} ${who?.segment && html`<span class="tag">
            ${who.segment}</span>`}</h2>
        <p class="muted">${entry.content.from?.value ?? t('withheld')}</p>
        ${(card.conversations ?? []).length > 0 && html`<p>
            ${t('open_matters', { n: card.conversations.length })}</p>`}
        <ul class="short">${last.map(([channel, one]) => html`<li key=${channel}>
            <${Channel} name=${channel} /> <span>${line(one)}</span> <span class="muted">
            ${when(one.occurred_at)}</span></li>`)}</ul>
        <button type="button" class="primary" onClick=${open}>${t('open')}</button>
    </section>`;
}
