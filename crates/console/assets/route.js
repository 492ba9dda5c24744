// Where in the page we are, in the address after `#`, so that back, reload and a sent link work.
//
// `#/` the desk, `#/conversation/cnv_…`, `#/client/cli_…`, `#/board`.
export function route() {
    const [, place = '', id = ''] = location.hash.split('/');
    if (place === 'board') return { place: 'board' };
    if (place === 'conversation' && /^cnv_\w+$/.test(id)) return { place, id };
    if (place === 'client' && /^cli_\w+$/.test(id)) return { place, id };
    return { place: 'desk' };
}

export const link = (place, id) => (place === 'desk' ? '#/' : id ? `#/${place}/${id}` : `#/${place}`);

export function go(place, id) {
    location.hash = link(place, id);
}

// The same page under its new name: a conversation that became part of another, a client who was merged.
export function rename(place, id) {
    history.replaceState(null, '', link(place, id));
    window.dispatchEvent(new HashChangeEvent('hashchange'));
}
