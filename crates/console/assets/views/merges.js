// Whom this client is made of: who made them one, when and why; and taking them apart again.
import { undo } from '../acts.js';
import { desk } from '../desk.js';
import { moment } from '../format.js';
import { html, useLayoutEffect, useState } from '../html.js';
import { link } from '../route.js';
import { t } from '../words.js';
import { Dialog } from './dialog.js';
import { Trouble } from './trouble.js';

export function Merges({ client }) {
    const [chosen, choose] = useState(null);
    const all = desk.merges.get(client.id)?.items ?? [];
    if (!all.length) return null;
    const mayDecide = ['supervisor', 'admin'].includes(desk.me?.role);
    const close = () => choose(null);
    const ask = merge => {
        desk.problems.delete(`merge:${merge.id}`);
        choose(merge);
    };
    return html`<section aria-labelledby="merges" data-testid="merges">
        <h2 id="merges">${t('merges')} <span class="count">${all.length}</span></h2>
        <ul class="merges">${all.map(one => html`<li key=${one.id}>
            <p>${one.reason} <span class="muted">${one.by}, ${moment(one.at)}</span></p>
            ${one.undone_at
                ? html`<p class="muted">${t('undone', { at: moment(one.undone_at) })} <${Other} merge=${one} client=${client} /></p>`
                : mayDecide
                  ? html`<button type="button" aria-haspopup="dialog" onClick=${() => ask(one)}>${t('unmerge')}</button>`
                  : html`<p class="muted">${t('supervisor_undoes')}</p>`}
        </li>`)}</ul>
        ${chosen && html`<${Undo} client=${client} merge=${chosen} close=${close} />`}
    </section>`;
}

// The way to who is somebody else again.
const Other = ({ merge, client }) => {
    const other = merge.absorbed === client.id ? merge.survivor : merge.absorbed;
    return html`<a href=${link('client', other)}>${t('other_client')}</a>`;
};

// What will happen, before it does.
function Undo({ client, merge, close }) {
    const [why, explain] = useState('');
    const place = `merge:${merge.id}`;
    const busy = desk.busy.has(place);
    // The button that opened the window, and gets the focus back, may be gone by now.
    useLayoutEffect(() => () => void requestAnimationFrame(() => {
        if (document.activeElement === document.body) document.getElementById('card')?.focus();
    }), []);
    const send = async event => {
        event.preventDefault();
        if (await undo(client.id, merge.id, why.trim())) close();
    };
    return html`<${Dialog} title=${t('unmerge_ask')} close=${close}>
        <form class="fields" onSubmit=${send}>
            <dl class="pairs">
                <div><dt>${t('merged_by')}</dt><dd>${merge.by}, ${moment(merge.at)}</dd></div>
                <div><dt>${t('reason')}</dt><dd>${merge.reason}</dd></div>
            </dl>
            <p>${t('unmerge_what')}</p>
            <label>${t('unmerge_why')}<input type="text" maxlength="500" required value=${why} onInput=${event => explain(event.target.value)} /></label>
            <${Trouble} at=${place} />
            <span class="buttons">
                <button class="primary" disabled=${busy || !why.trim()}>${t('unmerge')}</button>
                <button type="button" onClick=${close}>${t('cancel')}</button>
            </span>
        </form>
    <//>`;
}
