using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using System.Threading.Tasks;
using Kmem.Diagnostics;

namespace Kmem;

/// <summary>
/// Runs a piece of code again and again; each time another of its allocations fails: the first, the second, and so on, until one run passes in which all succeed. What the
/// code does then is checked: it may throw <see cref="OutOfMemoryException"/> or go on, but must leave nothing behind.
/// </summary>
/// <remarks>
/// <para>For tests, from any framework: a finding is a <see cref="KmemFaultSweepException"/>. Costs as many runs as the code makes allocations. While a sweep runs, all caches of
/// the heap are checked, and slower, for everyone; only allocations of the code itself fail, of threads and tasks that it starts too.</para>
/// <para>What can fail are objects of caches, allocations of any size, and blocks of the heap's page allocator. Allocations of no bytes do not count. Making a heap or a cache does not
/// fail. A resize in place allocates nothing.</para>
/// </remarks>
public static class KmemFaultSweep
{
    private const int LeaksListedMax = 8;

    /// <summary>Sweeps over the body.</summary>
    /// <param name="heap">The heap whose allocations fail.</param>
    /// <param name="body">The code. Must do the same each time: as many allocations, in the same order.</param>
    /// <param name="options">Settings; null takes the defaults.</param>
    /// <returns>How many allocations the body makes, and what it did when one failed.</returns>
    /// <exception cref="KmemFaultSweepException">The body threw something else, left something behind, or damaged the heap. The message says after which allocation failed, and where that is.</exception>
    /// <exception cref="OutOfMemoryException">There is no memory for the checks.</exception>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public static KmemFaultSweepResult Run(KmemHeap heap, Action body, KmemFaultSweepOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(body);

        // Nothing in it waits: it is done when it returns.
        return RunAsync(
            heap,
            () =>
            {
                body();
                return Task.CompletedTask;
            },
            options).GetAwaiter().GetResult();
    }

    /// <summary>The same for code that awaits.</summary>
    /// <inheritdoc cref="Run"/>
    public static async Task<KmemFaultSweepResult> RunAsync(KmemHeap heap, Func<Task> body, KmemFaultSweepOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(heap);
        ArgumentNullException.ThrowIfNull(body);
        options ??= new KmemFaultSweepOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.FirstAllocation, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.AllocationsMax, 1, nameof(options));
        heap.BeginSweep(options.Checks);
        try
        {
            if (options.WarmsUp)
            {
                await RunOnce(heap, body, options, 0, checks: false).ConfigureAwait(false);
            }

            long thrown = 0;
            for (long number = options.FirstAllocation; number - options.FirstAllocation < options.AllocationsMax; number++)
            {
                (SweepFlow flow, bool hasThrown) = await RunOnce(heap, body, options, number, checks: true).ConfigureAwait(false);
                if (flow.Failed == null)
                {
                    return new KmemFaultSweepResult(flow.Count, thrown, Math.Max(0, number - options.FirstAllocation - thrown));
                }

                thrown += hasThrown ? 1 : 0;
            }

            throw new KmemFaultSweepException(Format($"The body makes more than {options.AllocationsMax} allocations: give {nameof(KmemFaultSweepOptions.AllocationsMax)} if that is right."), 0, [], [], null);
        }
        finally
        {
            heap.EndSweep();
        }
    }

    private static async Task<(SweepFlow Flow, bool HasThrown)> RunOnce(KmemHeap heap, Func<Task> body, KmemFaultSweepOptions options, long number, bool checks)
    {
        SweepFlow flow = new(heap, number);
        Exception? thrown = null;
        SweepFlow? before = SweepFlow.Enter(flow);
        try
        {
            await body().ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            thrown = exception;
        }
        finally
        {
            SweepFlow.Enter(before);
            _ = Engine.Face.TakeInjectedFault();
        }

        if (thrown != null && (flow.Failed == null || !IsExpected(thrown, options)))
        {
            throw Finding(flow, number, Format($"the body threw {thrown.GetType()}: {thrown.Message}"), flow.TakeLeaks(), thrown);
        }

        options.CleanUp?.Invoke();
        List<KmemSweepLeak> leaks = flow.TakeLeaks();
        if (checks && leaks.Count != 0 && !options.AllowsLeaks)
        {
            throw Finding(flow, number, DescribeLeaks(leaks), leaks, thrown);
        }

        try
        {
            heap.Validate();
        }
        catch (Exception exception) when (exception is InvalidOperationException or KmemMisuseException)
        {
            throw Finding(flow, number, "the heap is damaged: " + exception.Message, [], exception);
        }

        return (flow, thrown != null);
    }

    private static bool IsExpected(Exception exception, KmemFaultSweepOptions options)
    {
        if (exception is OutOfMemoryException || (options.IsExpected?.Invoke(exception) ?? false))
        {
            return true;
        }

        bool all = exception is AggregateException { InnerExceptions.Count: > 0 };
        if (exception is AggregateException many)
        {
            foreach (Exception inner in many.InnerExceptions)
            {
                all &= IsExpected(inner, options);
            }
        }

        return all;
    }

    private static KmemFaultSweepException Finding(SweepFlow flow, long number, string what, List<KmemSweepLeak> leaks, Exception? inner)
    {
        string[] frames = flow.Failed?.Frames ?? [];
        StringBuilder text = new();
        text.Append(flow.Failed == null ? "When no allocation failed, " : Format($"When allocation {number} failed, ")).Append(what);
        if (frames.Length != 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n  allocation {number} is made");
            AppendFrames(text, frames);
        }

        return new KmemFaultSweepException(text.ToString(), flow.Failed == null ? 0 : number, frames, leaks, inner);
    }

    private static string DescribeLeaks(List<KmemSweepLeak> leaks)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"{leaks.Count} allocation(s) of the body were left behind:");
        for (int index = 0; index < leaks.Count && index < LeaksListedMax; index++)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n  {leaks[index].Bytes} bytes at 0x{leaks[index].Address:x}");
            AppendFrames(text, leaks[index].Frames);
        }

        if (leaks.Count > LeaksListedMax)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n  and {leaks.Count - LeaksListedMax} more");
        }

        return text.ToString();
    }

    private static void AppendFrames(StringBuilder text, IReadOnlyList<string> frames)
    {
        foreach (string frame in frames)
        {
            text.Append("\n    at ").Append(frame);
        }
    }

    private static string Format(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>Settings of a <see cref="KmemFaultSweep"/>.</summary>
public sealed class KmemFaultSweepOptions
{
    /// <summary>The first allocation that fails; 1, the default, is the body's first. To see one finding again, its number.</summary>
    public long FirstAllocation { get; set; } = 1;

    /// <summary>Runs at most, so that a body without end is noticed. Default 100,000.</summary>
    public long AllocationsMax { get; set; } = 100_000;

    /// <summary>What is checked meanwhile in all caches of the heap, besides what is on. Default: F, Z, P and U.</summary>
    public KmemChecks Checks { get; set; } = KmemChecks.All;

    /// <summary>Whether the body runs once before, with nothing checked but what it throws: what it makes once and keeps is no leak then. Default true.</summary>
    public bool WarmsUp { get; set; } = true;

    /// <summary>Whether the body may leave allocations behind. Default false.</summary>
    public bool AllowsLeaks { get; set; }

    /// <summary>Is called after each run, before it is looked for what was left: gives back what the body may keep, such as a pool. Null for nothing.</summary>
    public Action? CleanUp { get; set; }

    /// <summary>Which exceptions besides <see cref="OutOfMemoryException"/> the body may throw when an allocation fails. Null: none.</summary>
    public Func<Exception, bool>? IsExpected { get; set; }
}

/// <summary>What a sweep that found nothing has seen.</summary>
/// <param name="Allocations">Allocations that the body makes when none fails.</param>
/// <param name="Thrown">Runs in which it threw.</param>
/// <param name="WentOn">Runs in which it did without the allocation that failed.</param>
public readonly record struct KmemFaultSweepResult(long Allocations, long Thrown, long WentOn);

/// <summary>An allocation that a sweep's body left behind.</summary>
/// <param name="Address">Where it is. It is live: nobody will free it.</param>
/// <param name="Bytes">Bytes asked for.</param>
/// <param name="Frames">Who allocated it, the innermost frame first.</param>
public sealed record KmemSweepLeak(nuint Address, nuint Bytes, IReadOnlyList<string> Frames);

/// <summary>Code does something wrong when one of its allocations fails.</summary>
public sealed class KmemFaultSweepException : Exception
{
    internal KmemFaultSweepException(string message, long failedAllocation, IReadOnlyList<string> frames, IReadOnlyList<KmemSweepLeak> leaks, Exception? inner)
        : base("Kmem: " + message, inner)
    {
        FailedAllocation = failedAllocation;
        FailedAt = frames;
        Leaks = leaks;
    }

    /// <summary>Number of the allocation that failed, from 1; 0 if none did.</summary>
    public long FailedAllocation { get; }

    /// <summary>Where it is made, the innermost frame first.</summary>
    public IReadOnlyList<string> FailedAt { get; }

    /// <summary>What the body left behind in that run.</summary>
    public IReadOnlyList<KmemSweepLeak> Leaks { get; }
}
