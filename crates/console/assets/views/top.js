// The line at the top: where to go, how the connection is, whether we are there.
import { presence } from '../acts.js';
import { changed, desk } from '../desk.js';
import { html } from '../html.js';
import { link, route } from '../route.js';
import { LANGUAGES, speak, spoken, t } from '../words.js';
import { Icon } from './icons.js';
import { Menu } from './menu.js';
import { Trouble } from './trouble.js';

export function Top({ search, help, profile, signOut }) {
    const now = route();
    const current = place => ((now.place === 'board') === (place === 'board') ? 'page' : null);
    return html`<header class="top">
        <a class="brand" href=${link('desk')}><img src="./icon.svg" alt="" width="24" height="24" />
            <span>Frontdesk</span></a>
        <nav aria-label=${t('pages')}>
            <a href=${link('desk')} aria-current=${current('desk')}>${t('desk')}</a>
            <a href=${link('board')} aria-current=${current('board')}>${t('board')}</a>
        </nav>
        <button type="button" class="quiet find" onClick=${search} aria-keyshortcuts="/">
            <${Icon} name="search" /><span>${t('search')}</span><kbd aria-hidden="true">/</kbd></button>
        <span class="spring"></span>
        <${Link} />
        <${Presence} />
        <${Menu} words=${desk.me?.name ?? t('menu')} end>
            ${desk.me && html`<p class="muted">${t(`role_${desk.me.role}`)}</p>`}
            <${Presence} />
            <${Language} />
            ${desk.me?.profile !== undefined && desk.me?.role !== 'reader' && html`<button type="button" onClick=${profile}>${t('profile')}</button>`}
            <button type="button" onClick=${help} aria-keyshortcuts="?">${t('keys')}</button>
            <button type="button" onClick=${signOut}><${Icon} name="out" />${t('sign_out')}</button>
        <//>
    </header>`;
}

function Link() {
    const words = { live: t('link_live'), away: t('link_away'), connecting: t('link_connecting') };
    return html`<span class=${`link ${desk.link}`} role="status" data-testid="link">
        <span class="dot" aria-hidden="true"></span><span class="words">
        ${words[desk.link] ?? ''}</span></span>`;
}

function Presence() {
    if (!desk.me?.presence || desk.me.role === 'reader') return null;
    return html`<label class=${`presence ${desk.me.presence}`}><span class="unseen">${t('presence')}</span>
        <select value=${desk.me.presence} disabled=${desk.busy.has('me')} onChange=${event => presence(event.target.value)}>
            ${['available', 'away', 'offline'].map(one => html`<option value=${one} key=${one}>
                ${t(`presence_${one}`)}</option>`)}
        </select>
        <${Trouble} at="me" />
    </label>`;
}

export function Language() {
    const choose = event => {
        speak(event.target.value);
        changed();
    };
    return html`<label class="language">${t('language')}
        <select value=${spoken()} onChange=${choose}>
            ${Object.entries(LANGUAGES).map(([tag, name]) => html`<option value=${tag} lang=${tag} key=${tag}>
                ${name}</option>`)}
        </select>
    </label>`;
}
