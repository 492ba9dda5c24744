//! Who waits is offered to somebody, one has it, and what was promised is told once: also to those who are
//! killed meanwhile.

mod house;
mod killed;
mod offered;

use tests::over_both_stores;

use killed::{
    an_offer_outlives_the_process_that_made_it,
    killed_in_the_middle_of_offers_and_clocks_nothing_is_lost_and_nothing_said_twice,
};
use offered::{
    a_hundred_who_want_it_are_one_who_has_it, a_telephone_that_rings_shows_its_client,
    a_valued_caller_is_offered_with_a_deadline_and_has_one_agent,
    what_somebody_claims_is_offered_to_nobody_any_more,
    who_is_gone_is_asked_no_more_and_what_they_had_is_offered_to_others,
};

over_both_stores!(
    a_valued_caller_is_offered_with_a_deadline_and_has_one_agent,
    a_hundred_who_want_it_are_one_who_has_it,
    what_somebody_claims_is_offered_to_nobody_any_more,
    who_is_gone_is_asked_no_more_and_what_they_had_is_offered_to_others,
    a_telephone_that_rings_shows_its_client,
    an_offer_outlives_the_process_that_made_it,
    killed_in_the_middle_of_offers_and_clocks_nothing_is_lost_and_nothing_said_twice,
);
