// What went wrong with a request, as a sentence in the reader's language. What the server said itself, in English,
// stands beneath it.
import { has, t } from './words.js';

// What an agent meets, by the type the server names (RFC 9457), else by the field at fault, else by the status.
const BY_TYPE = {
    '/problems/unwanted-by-client': 'problem_unwanted',
    '/problems/taken': 'problem_taken',
    '/problems/too-late': 'problem_too_late',
    '/problems/no-way': 'problem_no_way',
};
const BY_STATUS = {
    0: 'problem_unreachable',
    400: 'problem_bad',
    401: 'token_wrong',
    403: 'problem_forbidden',
    404: 'problem_gone',
    409: 'problem_conflict',
    413: 'problem_too_large',
    422: 'problem_bad',
    502: 'problem_away',
    503: 'problem_away',
    504: 'problem_away',
};

export class Problem extends Error {
    // `said` is the body of the server's answer; of no answer at all the status is 0.
    constructor(status, { detail = null, field, owner, type } = {}) {
        const ofField = field && `problem_${field.replaceAll('.', '_')}`;
        const key = BY_TYPE[type] ?? (ofField && has(ofField) ? ofField : BY_STATUS[status]) ?? 'problem_status';
        super(t(key, { status, owner: owner ?? '' }));
        Object.assign(this, { status, detail, field, type });
    }

    // Nobody knows whether it was done: the same request may be sent again under its key.
    get isOpen() {
        return this.status === 0 || this.status >= 500;
    }
}
