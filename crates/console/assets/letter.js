// A mail's own markup, in a frame where nothing runs and nothing is fetched from anywhere.
//
// The server has made it harmless already; this is the second wall. The frame has no origin (`sandbox`), no
// script, and a policy of its own beside the page's, which it inherits. Pictures that came within the mail are
// shown when asked for, as data; pictures from elsewhere never are: they tell the sender who opened the mail.
import { download } from './api.js';

const policy = window.trustedTypes
    ? window.trustedTypes.createPolicy('letter', { createHTML: text => text })
    : { createHTML: text => text };

// Pictures larger than this together stay files to be opened.
const MOST_BYTES = 8 << 20;
const PICTURES = /^image\/(png|jpeg|gif|webp)$/;

export function letter(html, pictures = new Map()) {
    const here = location.origin;
    const body = html.replace(/\bsrc="cid:([^"]*)"/gi, (_, id) => {
        const data = pictures.get(bare(id));
        return data ? `src="${data}"` : '';
    });
    return policy.createHTML(
        '<!doctype html><html><head><meta charset="utf-8">' +
            `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src ${here}">` +
            '<meta name="referrer" content="no-referrer">' +
            `<link rel="stylesheet" href="${here}/console/letter.css"></head><body>${body}</body></html>`,
    );
}

// The files of a mail that its text shows as pictures.
export function pictured(content) {
    const html = content.html ?? '';
    const files = (content.attachments ?? []).filter(
        file => file.content_id && PICTURES.test(file.media_type) && html.includes(`cid:${file.content_id}`),
    );
    let room = MOST_BYTES;
    return files.filter(file => (room -= file.size) >= 0);
}

// Their bytes as `data:`, by their id in the mail.
export async function pictures(contact, files) {
    const found = new Map();
    for (const file of files) {
        const blob = await download(`/v1/contacts/${contact}/attachments/${file.sha256}`);
        found.set(bare(file.content_id), await dataOf(blob, file.media_type));
    }
    return found;
}

const bare = id => id.replace(/^<|>$/g, '');

// What it is labelled as was checked against the list above; the server's label may be another.
function dataOf(blob, kind) {
    return new Promise((done, failed) => {
        const reader = new FileReader();
        reader.onload = () => done(String(reader.result).replace(/^data:[^;,]*/, `data:${kind}`));
        reader.onerror = () => failed(reader.error);
        reader.readAsDataURL(blob);
    });
}
