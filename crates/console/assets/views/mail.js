// A mail: what was written this time; the rest, its markup and its files on request.
import { download } from '../api.js';
import { bytes } from '../format.js';
import { html, useState } from '../html.js';
import { letter, pictured, pictures } from '../letter.js';
import { t } from '../words.js';
import { Text } from './entry.js';
import { Icon } from './icons.js';
import { Trouble } from './trouble.js';

export function Mail({ entry }) {
    const { content = {} } = entry;
    const [laid, lay] = useState(false);
    const quoted = [content.quoted, content.signature].filter(Boolean).join('\n\n');
    return html`<div class="mail">
        <p class="subject"><strong>${content.subject || t('no_subject')}</strong>
            ${(content.automatic || content.looks_automatic) && html` <span class="tag">
            ${t('automatic')}</span>`}</p>
        ${laid ? html`<${Letter} entry=${entry} />` : html`<${Text} text=${content.text || entry.summary} />`}
        ${!laid && quoted && html`<details class="quoted"><summary>${t('quoted')}</summary>
            <${Text} text=${quoted} quiet /></details>`}
        ${content.html && html`<button type="button" class="quiet" aria-pressed=${laid ? 'true' : 'false'} onClick=${() => lay(!laid)}>${laid ? t('as_text') : t('as_written')}</button>`}
        <${Files} entry=${entry} />
    </div>`;
}

function Letter({ entry }) {
    const { content } = entry;
    const [shown, show] = useState(new Map());
    const [problem, say] = useState(null);
    const files = pictured(content);
    const fill = () => pictures(entry.contact, files).then(show, say);
    return html`<div>
        ${files.length > 0 && shown.size === 0 && html`<p class="muted">
            ${t('pictures_hidden', { n: files.length })} <button type="button" class="quiet" onClick=${fill}>
            ${t('show_pictures')}</button></p>`}
        <${Trouble} problem=${problem} />
        <iframe class="letter" title=${t('letter', { subject: content.subject || t('no_subject') })} sandbox="" srcdoc=${letter(content.html, shown)}></iframe>
    </div>`;
}

function Files({ entry }) {
    const [problem, say] = useState(null);
    const files = entry.content?.attachments ?? [];
    if (!files.length) return null;
    const save = async file => {
        say(null);
        try {
            const url = URL.createObjectURL(await download(`/v1/contacts/${entry.contact}/attachments/${file.sha256}`));
            const to = Object.assign(document.createElement('a'), { href: url, download: file.name ?? 'file' });
            to.click();
            setTimeout(() => URL.revokeObjectURL(url), 60e3);
        } catch (problem) {
            say(problem);
        }
    };
    return html`<ul class="files" aria-label=${t('files')}>
        ${files.map(file => html`<li key=${file.sha256}><button type="button" onClick=${() => save(file)}>
            <${Icon} name="file" />${file.name ?? t('nameless_file')} <span class="muted">
            ${bytes(file.size)}</span></button></li>`)}
        ${problem && html`<li><${Trouble} problem=${problem} /></li>`}
    </ul>`;
}
