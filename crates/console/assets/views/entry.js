// One line of a history: a mail, a call, a chat's line, an answer, a note, a change.
import { call, exact, time } from '../format.js';
import { html, useState } from '../html.js';
import { link } from '../route.js';
import { said, t } from '../words.js';
import { Channel, Icon } from './icons.js';
import { Mail } from './mail.js';
import { Since } from './ticking.js';

// `who` is how its client is called, `apart` says that it is of another conversation than the one looked at.
export function Entry({ entry, who, apart }) {
    const { kind, channel, direction, content } = entry;
    if (kind === 'change' || (kind !== 'note' && channel === 'desk')) return html`<${Change} entry=${entry} />`;
    const ours = direction === 'outbound' || kind === 'reply' || kind === 'note';
    const shape = kind === 'note' ? 'note' : channel;
    return html`<article class=${`entry ${shape} ${ours ? 'ours' : 'theirs'} ${apart ? 'apart' : ''}`} data-entry=${entry.id} data-kind=${kind}>
        <header>
            ${kind === 'note' ? html`<span class="channel"><${Icon} name="note" />
                ${t('note')}</span>` : html`<${Channel} name=${channel} />`}
            <span class="by">${ours ? (entry.agent ?? t('us')) : (content?.from?.name ?? content?.from?.value ?? who ?? t('client'))}</span>
            <time datetime=${entry.occurred_at} title=${exact(entry.occurred_at)}>
                ${time(entry.occurred_at)}</time>
            ${entry.trust && entry.trust !== 'verified' && html`<span class="tag warn">
                ${said('trust', entry.trust)}</span>`}
            ${apart && entry.conversation && html`<a class="elsewhere" href=${link('conversation', entry.conversation)}>${t('other_conversation')}</a>`}
        </header>
        <${Body} entry=${entry} />
        ${kind === 'reply' && html`<${State} content=${content} />`}
    </article>`;
}

function Body({ entry }) {
    const { kind, channel, content } = entry;
    if (kind === 'reply' || kind === 'note' || channel === 'chat') return html`<${Text} text=${content?.text ?? entry.summary} />`;
    if (channel === 'phone') return html`<${Call} entry=${entry} />`;
    if (channel === 'email') return html`<${Mail} entry=${entry} />`;
    return html`<${Text} text=${entry.summary} />`;
}

const LONG = 1200;

// What somebody wrote, with its lines and its links; a long one is folded.
export function Text({ text, quiet }) {
    const [open, unfold] = useState(false);
    const folded = text.length > LONG && !open;
    return html`<div class=${`text ${quiet ? 'muted' : ''}`}>
        ${linked(folded ? `${text.slice(0, LONG).trimEnd()}…` : text)}
        ${folded && html` <button type="button" class="quiet" onClick=${() => unfold(true)}>
            ${t('show_all')}</button>`}
    </div>`;
}

// Nothing but addresses of the web becomes a link.
const linked = text =>
    text.split(/(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]])/).map((piece, i) =>
        i % 2 ? html`<a href=${piece} target="_blank" rel="noopener noreferrer nofollow">
            ${piece}</a>` : piece,
    );

function Call({ entry }) {
    const { content = {}, direction } = entry;
    const { came, words, lengths } = call(entry);
    const other = direction === 'outbound' ? content.to : content.from;
    return html`<div class=${`call ${came}`}>
        <p><strong><${Icon} name=${direction === 'outbound' ? 'outward' : 'in'} /> ${words}</strong>
            ${content.state === 'ringing' && html` <${Since} at=${entry.occurred_at} exactly />`}${lengths.length ? html` <span class="muted">${lengths.join(' · ')}</span>` : ''}</p>
        ${(other?.name || content.extensions?.length) && html`<p class="muted">
            ${other?.value}${content.extensions?.length ? ` · ${t('extension', { names: content.extensions.join(', ') })}` : ''}</p>`}
        ${(content.transcripts ?? []).map(one => one.text && html`<${Text} key=${one.text} text=${one.text} quiet />`)}
    </div>`;
}

// How far an answer of ours has come.
function State({ content = {} }) {
    const bad = content.state === 'failed' || content.state === 'uncertain' || content.state === 'deferred';
    return html`<p class=${`fate ${bad ? 'bad' : ''}`} data-testid="fate">
        ${bad && html`<${Icon} name="warn" />`}${said('fate', content.state)}${bad && content.detail ? `: ${content.detail}` : ''}</p>`;
}

function Change({ entry }) {
    return html`<p class="change" data-entry=${entry.id}>
        <time datetime=${entry.occurred_at} title=${exact(entry.occurred_at)}>
            ${time(entry.occurred_at)}</time>
        <span>${entry.summary}${entry.agent ? ` (${entry.agent})` : ''}</span>
    </p>`;
}
