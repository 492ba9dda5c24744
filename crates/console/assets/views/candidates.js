// Who the client may also be: why, what a merge would join, and the two decisions.
import { read } from '../api.js';
import { keepApart, merge } from '../acts.js';
import { changed, desk } from '../desk.js';
import { called, moment } from '../format.js';
import { html, useState } from '../html.js';
import { link } from '../route.js';
import { t } from '../words.js';
import { Trouble } from './trouble.js';

export function Candidates({ client }) {
    const found = desk.candidates.get(client.id) ?? [];
    if (!found.length) return null;
    return html`<section aria-labelledby="candidates" data-testid="candidates">
        <h2 id="candidates">${t('candidates')} <span class="count">${found.length}</span></h2>
        ${found.map(one => html`<${Candidate} key=${one.client.id + one.identifier.value} client=${client} candidate=${one} />`)}
    </section>`;
}

function Candidate({ client, candidate }) {
    const { client: other, identifier, reason, since } = candidate;
    const place = `candidate:${other.id}`;
    const [preview, show] = useState(null);
    const [why, explain] = useState('');
    const busy = desk.busy.has(place);
    const look = async () => {
        desk.problems.delete(place);
        try {
            show(await read(`/v1/clients/${client.id}/merge?client=${other.id}`));
        } catch (problem) {
            desk.problems.set(place, problem);
        }
        changed();
    };
    const mayDecide = ['supervisor', 'admin'].includes(desk.me?.role);
    return html`<div class="candidate">
        <p><a href=${link('client', other.id)}>${called(other)}</a></p>
        <p class="muted">${t('both_have', { value: identifier.value })}: ${reason}, ${moment(since)}</p>
        <${Trouble} at=${place} />
        ${!preview && html`<button type="button" onClick=${look}>${t('compare')}</button>`}
        ${preview && html`<form onSubmit=${event => event.preventDefault()}>
            <table class="sides"><thead><tr><td></td><th scope="col">${t('stays')}</th><th scope="col">
                ${t('joins')}</th></tr></thead><tbody>
                ${side(t('name'), preview, one => called(one.client))}
                ${side(t('identifiers'), preview, one => one.client.identifiers.filter(each => each.kind !== 'visitor').map(each => each.value).join(', ') || '–')}
                ${side(t('contacts'), preview, one => `${one.contacts}${one.more ? '+' : ''}`)}
                ${side(t('conversations'), preview, one => one.conversations)}
            </tbody></table>
            ${preview.conflicts.map(words => html`<p class="warned" key=${words}>${words}</p>`)}
            ${mayDecide
                ? html`<label>${t('reason')}<input type="text" maxlength="500" value=${why} onInput=${event => explain(event.target.value)} /></label>
                    <span class="buttons">
                        <button type="button" class="primary" disabled=${busy || !why.trim()} onClick=${() => merge(client.id, other.id, why.trim())}>${t('merge')}</button>
                        <button type="button" disabled=${busy || !why.trim()} onClick=${() => keepApart(client.id, other.id, why.trim())}>${t('keep_apart')}</button>
                    </span>`
                : html`<p class="muted">${t('supervisor_decides')}</p>`}
        </form>`}
    </div>`;
}

const side = (name, { survivor, absorbed }, of) =>
    html`<tr><th scope="row">${name}</th><td>${of(survivor)}</td><td>${of(absorbed)}</td></tr>`;
