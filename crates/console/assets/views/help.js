// What the keys do.
import { html } from '../html.js';
import { KEYS } from '../keys.js';
import { t } from '../words.js';
import { Dialog } from './dialog.js';

export const Help = ({ close }) => html`<${Dialog} title=${t('keys')} close=${close}>
    <dl class="keys">${KEYS.map(([keys, words]) => html`<div key=${keys}><dt>
        ${keys.split(' ').map(key => html`<kbd>${key}</kbd> `)}</dt><dd>${t(words)}</dd></div>`)}</dl>
    <p class="muted">${t('keys_not_while_typing')}</p>
<//>`;
