// One client, without a conversation of theirs being open.
import { desk } from '../desk.js';
import { called } from '../format.js';
import { html, useEffect } from '../html.js';
import { link } from '../route.js';
import { loadCard } from '../reads.js';
import { t } from '../words.js';
import { Composer } from './composer.js';
import { Icon } from './icons.js';
import { Timeline } from './timeline.js';
import { Trouble } from './trouble.js';

export function Client({ id }) {
    useEffect(() => void loadCard(id), [id]);
    const client = desk.cards.get(id)?.client;
    return html`<main class="middle" id="main" tabindex="-1" data-client=${id}>
        <header class="head">
            <div class="title">
                <a class="button quiet back" href=${link('desk')}><${Icon} name="back" /><span class="unseen">
                    ${t('back')}</span></a>
                <h1>${client ? called(client) : t('client')}</h1>
                ${client?.segment && html`<span class="tag">${client.segment}</span>`}
            </div>
            ${!client && html`<${Trouble} at=${`card:${id}`} />`}
        </header>
        <${Timeline} key=${id} of=${`client:${id}`} who=${client && called(client)} />
        ${client && html`<${Composer} key=${id} client=${client} />`}
    </main>`;
}
