// Where one writes: an answer to the client, or a note for us. What is written is kept until it was sent.
import { note, reply } from '../acts.js';
import { desk } from '../desk.js';
import { draft, write } from '../drafts.js';
import { html, useLayoutEffect, useRef, useState } from '../html.js';
import { announceSent } from './spoken.js';
import { said, t } from '../words.js';
import { Trouble } from './trouble.js';

// The longest text the server takes.
const LONGEST = 20_000;

// Of a conversation, or of a client without one; then there is nothing to answer, and notes alone are written.
export function Composer({ conversation, client }) {
    const id = conversation?.id ?? client.id;
    const whose = conversation ? conversation.client?.id : client.id;
    const answers = conversation && conversation.channel !== 'phone';
    const [kind, choose] = useState(answers || !whose ? 'reply' : 'note');
    const [text, set] = useState(() => draft(kind, id));
    const box = useRef(null);
    useLayoutEffect(() => {
        const element = box.current;
        if (!element) return;
        element.style.height = 'auto';
        element.style.height = `${Math.min(element.scrollHeight + 2, 220)}px`;
    }, [text, kind]);
    if (desk.me?.role === 'reader') return null;
    const place = `composer:${id}`;
    const busy = desk.busy.has(place);
    const turn = other => {
        choose(other);
        set(draft(other, id));
    };
    const type = event => {
        set(event.target.value);
        write(kind, id, event.target.value);
    };
    const send = async () => {
        const words = text.trim();
        if (!words || busy) return;
        const sent = kind === 'note' ? await note(whose, conversation?.id, words) : await reply(id, words);
        if (!sent) return;
        // What was typed while it was on its way stays.
        const rest = draft(kind, id) === text ? '' : draft(kind, id);
        write(kind, id, rest);
        set(rest);
        announceSent(kind);
        box.current?.focus();
    };
    const isChat = kind === 'reply' && conversation?.channel === 'chat';
    const key = event => {
        if (event.key !== 'Enter' || event.isComposing || event.keyCode === 229) return;
        if (event.ctrlKey || event.metaKey || (isChat && !event.shiftKey)) {
            event.preventDefault();
            send();
        }
    };
    const tab = (name, words) =>
        html`<label class="chip">
            <input type="radio" name=${`kind-${id}`} value=${name} checked=${kind === name} onChange=${() => turn(name)} />
            <span>${words}</span></label>`;
    const label = kind === 'note' ? t('note_text') : t('reply_text', { how: said('channel', conversation?.channel) });
    return html`<form class=${`composer ${kind}`} aria-label=${t('composer')} onSubmit=${event => { event.preventDefault(); send(); }}>
        <div class="bar">
            ${conversation && html`<fieldset class="tabs"><legend class="unseen">
                ${t('what_to_write')}</legend>
                ${tab('reply', t('reply'))}${whose && tab('note', t('note'))}</fieldset>`}
            <span class="muted hint" id=${`hint-${id}`}>
                ${isChat ? t('enter_sends') : t('ctrl_enter_sends')}${text.length > LONGEST - 1000 ? ` · ${t('letters_left', { n: LONGEST - text.length })}` : ''}</span>
        </div>
        <div class="line">
            <textarea id="composer" ref=${box} rows="2" maxlength=${LONGEST} aria-label=${label} placeholder=${label} aria-describedby=${`hint-${id}`} value=${text} onInput=${type} onKeyDown=${key}></textarea>
            <button class="primary" disabled=${busy || !text.trim()}>
                ${kind === 'note' ? t('keep_note') : t('send')}</button>
        </div>
        <${Trouble} at=${place} />
    </form>`;
}
