//! What every database behind a store must do. Each test runs on each database.

mod concurrency;
pub(crate) mod feed;
mod lifecycle;
pub(crate) mod members;
mod migrations;
mod transactions;
mod types;

trellis_testkit::conformance! {
    crate::support::Database;
    types {
        every_type_comes_back_as_it_went
        nulls_of_every_type_come_back
        large_values_come_back
        expressions_have_the_types_one_expects
        one_statement_takes_changing_types
        changed_rows_are_counted
        generated_keys_are_returned
        what_one_database_cannot_keep_is_refused
        rows_are_read_by_name
    }
    transactions {
        a_closure_is_all_or_nothing
        the_callers_own_error_comes_back
        a_transaction_sees_its_own_writes
        a_failed_statement_spoils_the_transaction
        a_panic_rolls_back_and_the_store_goes_on
        broken_constraints_are_told_apart
        a_failing_closure_does_not_touch_others
        a_failed_commit_is_no_success
        a_write_ends_though_its_caller_left
        reads_may_not_write
    }
    concurrency {
        no_increment_is_lost
        a_lock_guards_what_was_read
        acknowledged_writes_are_seen_at_once
        a_full_queue_is_busy
        stuck_work_is_given_up
        more_readers_than_connections_take_turns
    }
    migrations {
        they_run_once
        a_changed_one_is_refused
        a_missing_one_is_refused
        one_that_comes_too_late_is_refused
        a_failing_one_leaves_nothing
        many_may_start_at_once
        owners_do_not_meet
        they_may_take_long
    }
    feed {
        changes_come_in_their_order
        an_announcement_is_a_part_of_its_transaction
        a_write_may_announce_several
        a_plain_write_may_not_announce
        revisions_survive_a_restart
        who_falls_behind_reads_from_the_table
        who_falls_behind_the_table_begins_anew
        old_changes_go
        no_acknowledged_announcement_is_lost_by_kill_9
        ordered_writes_share_commits
        ordered_writes_may_rely_on_what_they_read
        a_lost_commit_is_said_to_be_unknown
        a_feed_ends_with_its_store
    }
    members {
        a_member_is_there_until_it_leaves
        a_write_is_aborted_when_the_list_has_changed
    }
    lifecycle {
        everything_is_there_after_reopening
        two_stores_share_one_database
        a_closed_store_refuses
        closing_waits_for_what_was_accepted
        ping_tells_that_it_answers
    }
}
