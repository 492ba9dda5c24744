// Waiting for a state, never for time to pass.
import { isDeepStrictEqual } from 'node:util';

const PATIENCE = 60e3,
    LOOK_EVERY = 25;

// Looks until `look` gives something true, and gives that. What it threw last is why it did not.
export async function eventually(what, look, within = PATIENCE) {
    const began = Date.now();
    for (;;) {
        let last;
        try {
            const there = await look();
            if (there) return there;
            last = there;
        } catch (error) {
            if (error.isFinal) throw error;
            last = error.message;
        }
        if (Date.now() - began > within)
            throw new Error(`${what}: not within ${within / 1e3} s; last: ${last}`);
        await new Promise(done => setTimeout(done, LOOK_EVERY));
    }
}

// Looks until what is seen is what was expected: a page shows a change when it is told of it, not before.
export function becomes(look, expected) {
    return eventually(`becomes ${JSON.stringify(expected)}`, async () => {
        const seen = await look();
        if (!isDeepStrictEqual(seen, expected)) throw new Error(JSON.stringify(seen));
        return true;
    });
}
