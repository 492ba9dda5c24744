// Server-sent events out of the pieces a connection brings (HTML standard, section 9.2.6).
//
// Gives `feed(text)`, which calls `on` with `{ id, event, data }` for every whole message. `id` is the last one that
// was said, by this message or before; one that says nothing else counts too, and has the data null. A message larger
// than the limit ends the connection, by throwing.
const LARGEST = 4 << 20;

export function parser(on) {
    let rest = '';
    let id = null;
    let event = '';
    let data = [];
    // Whether this message says an id.
    let said = false;
    return text => {
        rest += text;
        if (rest.length > LARGEST) throw new Error('a message of the stream has no end');
        // A lone CR at the end may be the first half of CRLF.
        const lines = rest.split(/\r\n|\n|\r(?!$)/);
        rest = lines.pop();
        for (const line of lines) {
            if (line === '') {
                if (data.length) on({ id, event: event || 'message', data: data.join('\n') });
                else if (said) on({ id, event: event || 'message', data: null });
                [event, data, said] = ['', [], false];
                continue;
            }
            const colon = line.indexOf(':');
            if (colon === 0) continue;
            const name = colon < 0 ? line : line.slice(0, colon);
            const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
            if (name === 'data') data.push(value);
            else if (name === 'event') event = value;
            // With a NUL in it an id says nothing.
            else if (name === 'id' && !value.includes('\0')) [id, said] = [value, true];
        }
    };
}
