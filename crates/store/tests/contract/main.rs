//! What a store promises, asked of both databases.
//!
//! Every scenario is listed once and becomes `sqlite::name` and `postgres::name`. For PostgreSQL a
//! throwaway server is started, unless `FRONTDESK_TEST_POSTGRES` names one.

#![expect(clippy::unwrap_used, reason = "what cannot go on fails the scenario")]

mod candidates;
mod chats;
mod deciding;
mod failures;
mod figures;
mod home;
mod lists;
mod merging;
mod offers;
mod people;
mod recording;
mod round_trip;
mod schema;
mod shelves;
mod turning;
mod unmerging;
mod work;

use home::{Home, run};

macro_rules! contract {
    ($($file:ident: $($scenario:ident),+;)+) => {
        mod sqlite {
            $($(
                #[test]
                fn $scenario() {
                    super::run(super::$file::$scenario(super::Home::sqlite()));
                }
            )+)+
        }
        mod postgres {
            $($(
                #[test]
                fn $scenario() {
                    if let Some(home) = super::Home::postgres() {
                        super::run(super::$file::$scenario(home));
                    }
                }
            )+)+
        }
    };
}

contract! {
    recording:
        a_replayed_event_is_recorded_once,
        two_deciders_meeting_a_new_number_agree_on_one_client,
        an_uncommitted_transaction_leaves_no_trace,
        half_a_transaction_cannot_be_committed,
        the_feed_has_no_gap_whoever_records,
        at_most_one_transaction_exists,
        a_replay_reaches_equal_digests_and_heals_what_was_tampered_with,
        answers_find_their_conversation_and_a_replay_finds_it_again,
        messages_are_read_for_their_own_client_only,
        a_batch_larger_than_every_chunk_is_recorded_whole;
    round_trip:
        what_was_written_is_what_is_read,
        rows_are_replaced_by_id;
    lists:
        pages_neither_skip_nor_repeat_when_entries_share_a_moment,
        a_page_keeps_every_letter,
        clients_are_found_by_an_identifier_or_a_part,
        contacts_are_listed_also_those_of_nobody,
        a_session_without_an_entry_is_read_and_not_listed,
        a_contact_comes_with_its_events,
        conversations_are_filtered,
        merged_clients_and_continued_conversations_are_not_listed,
        the_feed_shows_the_present_state,
        beside_its_conversation_an_entry_stands_in_brief;
    deciding:
        a_conversation_comes_with_its_client_and_latest_contact,
        an_answer_comes_with_its_conversation_client_and_chat,
        one_who_is_merged_comes_with_the_survivor,
        of_who_writes_mails_no_other_mails_are_read,
        where_something_is_proved_holdings_and_aparts_come_too;
    merging:
        a_history_is_every_row_of_a_client_and_nobody_elses,
        everything_absorbed_is_the_survivors,
        merges_of_one_batch_follow_each_other,
        a_history_has_every_event_that_had_a_part,
        clearing_clients_leaves_the_others_and_the_ties,
        every_projection_is_digested_and_cleared;
    candidates:
        merges_are_listed_newest_first_also_undone_ones,
        candidates_come_most_likely_first;
    chats:
        a_chat_is_read_from_any_line_on,
        answers_are_due_in_order,
        what_was_read_in_its_chat_is_not_due,
        chats_answers_and_ties_are_read_as_they_were_written;
    work:
        the_waiting_list_is_in_its_order_and_a_page_goes_on_where_the_last_ended,
        what_waits_or_occupies_is_work_and_counts_as_load,
        all_work_is_what_is_asked_piece_by_piece,
        who_wrote_or_talked_last_knows_the_client,
        the_earliest_is_woken_for_first,
        the_entries_of_a_conversation_are_paged_whoever_it_belongs_to,
        a_dossier_has_what_one_must_know;
    offers:
        pending_offers_are_listed_the_first_to_end_first,
        a_decision_sees_the_offers_and_agents_of_what_it_is_about,
        a_process_is_there_until_it_is_forgotten,
        somebody_is_here_while_a_console_is_open,
        the_feed_shows_offers_deadlines_and_agents,
        a_ringing_call_names_whose_telephone_rings;
    turning:
        what_nobody_answers_is_offered_to_the_next_one,
        two_notices_of_one_look_are_each_told_as_they_were,
        who_picked_up_is_asked_about_what_comes_next,
        a_replay_finds_what_was_promised_offered_and_taken;
    figures:
        conversations_of_a_span_are_told_by_what_is_kept_of_them,
        those_that_wait_are_told_whenever_they_were_opened,
        calls_of_a_span_come_with_what_is_owed_for_them,
        a_callback_is_of_the_span_since_when_it_is_owed,
        the_board_counts_what_waits_is_late_and_who_is_there;
    unmerging:
        a_replay_finds_what_merging_moving_and_undoing_left,
        an_undone_merge_leaves_each_what_is_theirs,
        a_withheld_call_is_given_with_its_conversation_and_what_was_done_to_it,
        who_names_a_conversation_that_goes_on_elsewhere_means_that_one,
        an_answer_in_a_chat_is_a_line_of_it;
    shelves:
        letters_are_kept_once_and_reopened,
        suspects_are_held_up_to_the_bounds_and_the_newest_dropped,
        tokens_are_found_until_revoked,
        the_first_answer_stays_until_forgotten;
    failures:
        nul_is_refused_and_leaves_no_trace,
        nul_in_a_question_finds_nothing,
        large_content_is_kept,
        a_transaction_given_up_in_the_middle_hurts_nobody;
    schema:
        opening_twice_at_once_is_safe,
        a_newer_an_edited_and_a_missing_schema_are_told_apart,
        a_database_of_before_is_brought_up_to_date_with_what_it_holds;
}
