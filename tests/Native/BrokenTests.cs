using System;
using System.Collections.Generic;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Native;

/// <summary>The cases themselves can fail: each of these mistakes, made by a malloc of another kind, is found by the case that looks for it.</summary>
public sealed class BrokenTests
{
    private const string Contract = "contract.c", Threads = "threads.c", Processes = "processes.c", Limits = "limits.c", Cpp = "cplusplus.cpp", First = "first.c";

    private static readonly (string Mistake, string Program, string[] Cases)[] s_found =
    [
        ("misaligned", Contract, ["every_size_is_aligned_for_what_fits_into_it"]),
        ("shared-zero", Contract, ["no_bytes_are_a_block_of_their_own"]),
        ("dirty", Contract, ["calloc_zeroes_memory_that_was_used_before", "calloc_zeroes_parts_of_large_blocks_that_were_used"]),
        ("overflow", Contract, ["a_product_beyond_the_address_space_is_refused"]),
        ("errno-forgotten", Contract, ["impossible_sizes_are_null_and_ENOMEM", "a_refused_realloc_leaves_the_block"]),
        ("errno-spoilt", Contract, ["free_leaves_errno_alone", "free_of_null_does_nothing"]),
        ("errno-spoilt", Limits, ["free_where_memory_cannot_be_given_back"]),
        ("freed-by-refusal", Contract, ["a_refused_realloc_leaves_the_block"]),
        ("forgets", Contract, ["realloc_keeps_what_fits", "realloc_among_many_blocks", "an_aligned_block_can_be_resized"]),
        ("alignment-ignored", Contract, ["every_power_of_two_is_an_alignment", "valloc_and_pvalloc_give_pages"]),
        ("alignment-ignored", Cpp, ["aligned_new_and_delete_in_every_form", "types_of_large_alignment"]),
        ("any-alignment", Contract, ["posix_memalign_says_what_is_wrong"]),
        ("boastful", Contract, ["all_of_the_usable_size_can_be_written"]),
        ("leaks", Contract, ["realloc_to_no_bytes_frees", "malloc_trim_gives_memory_back_and_says_so"]),
        ("leaks", Threads, ["one_thread_allocates_and_another_frees", "blocks_of_ended_threads_are_freed", "caches_of_ended_threads_are_used_again"]),
        ("lazy", Contract, ["mallinfo2_follows_what_is_allocated", "malloc_stats_writes_to_stderr"]),
        ("touches", Contract, ["a_heap_of_4_GiB_is_only_what_is_touched"]),
        ("needs-thread", Threads, ["destructors_of_ending_threads_allocate"]),
        ("cancellation-point", Threads, ["malloc_is_no_place_to_be_cancelled"]),
        ("lock-over-fork", Processes, ["fork_while_other_threads_allocate"]),
        ("locks-in-fork", Processes, ["handlers_of_fork_allocate"]),
        ("abort-when-out", Limits, ["null_at_500_MB_of_address_space", "null_at_500_MB_of_data", "a_limit_set_while_the_program_runs"]),
        ("needs-constructor", First, ["malloc_works_before_any_constructor"]),
        ("null-new", Cpp, ["new_of_the_impossible_throws_bad_alloc", "the_new_handler_is_called_until_it_gives_up"]),
    ];

    /// <summary>Only where the cases are run on the library as well.</summary>
    public BrokenTests() => _ = Settings.Library;

    public static IEnumerable<TheoryDataRow<string, string, string>> Found =>
        from row in s_found
        from name in row.Cases
        select new TheoryDataRow<string, string, string>(row.Mistake, row.Program, name);

    public static IEnumerable<TheoryDataRow<string, string>> Cases =>
        from row in s_found.SelectMany(row => row.Cases.Select(name => (row.Program, Name: name))).Distinct()
        select new TheoryDataRow<string, string>(row.Program, row.Name);

    [Theory]
    [MemberData(nameof(Found))]
    public void A_mistake_is_found(string mistake, string program, string name)
    {
        // A mistake that lets the program hang takes all of its time.
        Outcome outcome = Run(mistake, program, name, mistake.Contains("-fork", StringComparison.Ordinal) ? "4" : "20");
        Assert.True(outcome.ExitCode is not (0 or 2 or 77 or 99), $"{mistake}: {outcome}");
    }

    /// <summary>So it is the mistake that is found, and not that this is a malloc of another kind.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Without_a_mistake_there_is_nothing_to_find(string program, string name)
    {
        Outcome outcome = Run("none", program, name, "60");
        Assert.True(outcome.ExitCode is 0 or 77, outcome.ToString());
    }

    [Fact]
    public void A_program_without_the_library_does_not_pass()
    {
        Command command = CProgram.Prepare(Contract, "mallopt_is_no_harm", CProgram.Build("broken.c", isLibrary: true)).With("LD_PRELOAD", "");
        Assert.Equal(99, command.Run().ExitCode);
    }

    [Fact]
    public void A_case_that_hangs_is_stopped()
    {
        Outcome outcome = CProgram.Prepare(Contract, "small_memory_goes_back_by_itself", CProgram.Build("broken.c", isLibrary: true))
            .With("KMEM_BROKEN", "leaks")
            .With("KMEM_CASE_SECONDS", "1")
            .Run();
        Assert.Equal(128 + Outcome.AlarmSignal, outcome.ExitCode);
    }

    private static Outcome Run(string mistake, string program, string name, string seconds) =>
        CProgram.Prepare(program, name, CProgram.Build("broken.c", isLibrary: true))
            .With("KMEM_BROKEN", mistake)
            .With("KMEM_CASE_SECONDS", seconds)
            .Run();
}
