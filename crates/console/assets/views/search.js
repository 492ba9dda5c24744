// Finding a client by name, number or address.
import { read } from '../api.js';
import { called, when } from '../format.js';
import { html, useEffect, useLayoutEffect, useRef, useState } from '../html.js';
import { go, link } from '../route.js';
import { t } from '../words.js';
import { Dialog } from './dialog.js';
import { Trouble } from './trouble.js';

// Typing pauses for so long before we ask.
const PAUSE = 200;

export function Search({ close }) {
    const [words, set] = useState('');
    const [found, show] = useState(null);
    const [problem, say] = useState(null);
    const box = useRef(null);
    useLayoutEffect(() => box.current.focus(), []);
    useEffect(() => {
        const q = words.trim();
        if (!q) return show(null);
        const abort = new AbortController();
        const pause = setTimeout(async () => {
            try {
                const { items } = await read(`/v1/clients?limit=20&q=${encodeURIComponent(q)}`, { signal: abort.signal });
                show(items);
                say(null);
            } catch (problem) {
                if (!abort.signal.aborted) say(problem);
            }
        }, PAUSE);
        return () => {
            clearTimeout(pause);
            abort.abort();
        };
    }, [words]);
    const submit = event => {
        event.preventDefault();
        if (!found?.length) return;
        close();
        go('client', found[0].id);
    };
    return html`<${Dialog} title=${t('search')} close=${close}>
        <form onSubmit=${submit} role="search">
            <input ref=${box} type="text" role="searchbox" aria-label=${t('search_what')} placeholder=${t('search_what')} maxlength="100" autocomplete="off" value=${words} onInput=${event => set(event.target.value)} />
        </form>
        <${Trouble} problem=${problem} />
        <p class="unseen" role="status">${found && t('found', { n: found.length })}</p>
        ${found && found.length === 0 && html`<p class="empty">${t('nobody_found')}</p>`}
        ${found?.length > 0 && html`<ul class="rows">${found.map(client => html`<li key=${client.id}>
            <a class="row" href=${link('client', client.id)} onClick=${close}>
            <span class="who"><span class="name">${called(client)}</span>
                ${client.segment && html`<span class="tag">${client.segment}</span>`}<span class="since">
                ${when(client.last_contact_at)}</span></span>
            <span class="what"><span class="summary">
                ${client.identifiers.filter(one => one.kind !== 'visitor').map(one => one.value).join(', ')}</span></span>
        </a></li>`)}</ul>`}
    <//>`;
}
