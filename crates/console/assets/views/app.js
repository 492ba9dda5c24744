// The page of who is signed in.
import { desk } from '../desk.js';
import { html, useEffect, useState } from '../html.js';
import { dialogs } from '../keys.js';
import { route } from '../route.js';
import { t } from '../words.js';
import { Board } from './board.js';
import { Card } from './card.js';
import { Client } from './client.js';
import { Conversation } from './conversation.js';
import { Help } from './help.js';
import { List } from './list.js';
import { Profile } from './profile.js';
import { Rings } from './ring.js';
import { Search } from './search.js';
import { Spoken } from './spoken.js';
import { Top } from './top.js';

export function App({ signOut }) {
    // The dialog that is open.
    const [open, show] = useState(null);
    useEffect(() => Object.assign(dialogs, { search: () => show('search'), help: () => show('help') }), []);
    const close = () => show(null);
    const now = route();
    return html`<div class=${`page at-${now.place}`}>
        <a class="skip" href="#main" onClick=${skip}>${t('skip')}</a>
        <${Top} search=${() => show('search')} help=${() => show('help')} profile=${() => show('profile')} signOut=${signOut} />
        ${now.place === 'board' ? html`<${Board} />` : html`<${Desk} now=${now} />`}
        <${Rings} />
        <${Spoken} />
        ${open === 'search' && html`<${Search} close=${close} />`}
        ${open === 'help' && html`<${Help} close=${close} />`}
        ${open === 'profile' && html`<${Profile} close=${close} />`}
    </div>`;
}

// The address is where we are, so the way to the middle is walked by hand.
function skip(event) {
    event.preventDefault();
    document.getElementById('main')?.focus();
}

function Desk({ now }) {
    if (now.place === 'client') {
        return html`<div class="panes"><${List} /><${Client} key=${now.id} id=${now.id} />
            <${Card} client=${now.id} /></div>`;
    }
    if (now.place === 'conversation') {
        const conversation = desk.conversations.get(now.id);
        return html`<div class="panes"><${List} /><${Conversation} key=${now.id} id=${now.id} />
            ${conversation && html`<${Card} client=${conversation.client?.id} conversation=${conversation} />`}</div>`;
    }
    return html`<div class="panes"><${List} />
        <main class="middle nothing" id="main" tabindex="-1"><h1 class="unseen">${t('desk')}</h1>
            <p>${t('choose_one')}</p><p class="muted">${t('keys_hint')}</p></main></div>`;
}
