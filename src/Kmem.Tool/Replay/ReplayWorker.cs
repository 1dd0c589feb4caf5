using System;
using System.Threading;
using Kmem.Tool.Traces;

namespace Kmem.Tool.Replay;

/// <summary>One thread of a replay. Its loop allocates nothing and looks nothing up: all that was done when the plan was made.</summary>
internal sealed unsafe class ReplayWorker
{
    // Progress is published once for so many steps.
    private const int StepsPerReport = 4096;

    private readonly ReplayStep[] _steps;
    private readonly KmemHeap _heap;
    private readonly PageAllocator _pages;
    private readonly KmemCache[] _caches;
    private readonly ReplayTable _table;
    private int _done;

    // What ReallocFrom took, for ReallocTo.
    private ReplayStep _taken;
    private nint _takenAddress;

    public ReplayWorker(ReplayStep[] steps, KmemHeap heap, KmemCache[] caches, ReplayTable table)
    {
        _steps = steps;
        _heap = heap;
        _pages = heap.Pages;
        _caches = caches;
        _table = table;
    }

    /// <summary>Steps done, for a progress bar.</summary>
    public int Done => Volatile.Read(ref _done);

    /// <summary>Allocations that failed.</summary>
    public long Failed { get; private set; }

    /// <summary>Objects that had lost their mark when they were freed.</summary>
    public long Corrupt { get; private set; }

    /// <summary>Why the thread gave up, or null.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Does all steps.</summary>
    public void Run()
    {
        try
        {
            for (int start = 0; start < _steps.Length && !_table.IsStopped; start += StepsPerReport)
            {
                RunSteps(_steps.AsSpan(start, Math.Min(StepsPerReport, _steps.Length - start)));
                Volatile.Write(ref _done, Math.Min(start + StepsPerReport, _steps.Length));
            }
        }
        catch (Exception exception)
        {
            // Not rethrown: the exception would end the process, and the others would wait for this thread's objects.
            Failure = exception;
            _table.Stop();
        }
    }

    /// <summary>What the heap is asked for: at least a byte, for nothing is no object of a class, as in the kernel.</summary>
    public static nuint HeapSizeOf(int sizeBytes) => (nuint)Math.Max(1, sizeBytes);

    private void RunSteps(ReadOnlySpan<ReplayStep> steps)
    {
        long failed = 0;
        long corrupt = 0;
        foreach (ref readonly ReplayStep step in steps)
        {
            void* allocated;
            switch (step.Action)
            {
                case ReplayAction.AllocSized:
                    allocated = _heap.TryAlloc(HeapSizeOf(step.SizeBytes));
                    break;
                case ReplayAction.AllocFromCache:
                    allocated = _caches[step.Cache].TryAlloc();
                    break;
                case ReplayAction.AllocZeroed or ReplayAction.AllocAligned:
                    allocated = AllocSpecial(step);
                    break;
                case ReplayAction.ReallocFrom:
                    _taken = step;
                    _takenAddress = _table.Get(step.Object);
                    continue;
                case ReplayAction.ReallocTo:
                    allocated = Reallocate(step, ref corrupt);
                    break;
                case ReplayAction.AllocPages:
                    allocated = _pages.TryAlloc(step.Order, step.Mobility);
                    break;
                default:
                    nint address = _table.Get(step.Object);
                    if (address > ReplayTable.Failed)
                    {
                        corrupt += ObjectMark.IsIntact((void*)address, step.SizeBytes, step.Object) ? 0 : 1;
                        Free(step, (void*)address);
                    }

                    continue;
            }

            if (allocated != null)
            {
                ObjectMark.Write(allocated, step.SizeBytes, step.Object);
            }
            else
            {
                failed++;
            }

            _table.Publish(step.Object, allocated);
        }

        Failed += failed;
        Corrupt += corrupt;
    }

    private void* AllocSpecial(in ReplayStep step)
    {
        try
        {
            return step.Action == ReplayAction.AllocZeroed
                ? _heap.AllocZeroed(HeapSizeOf(step.SizeBytes))
                : _heap.AllocAligned(HeapSizeOf(step.SizeBytes), (nuint)1 << step.Order);
        }
        catch (OutOfMemoryException)
        {
            return null;
        }
    }

    /// <summary>Where it fails, the old object is freed: the trace has no name for it any more. Null also where the replay was stopped.</summary>
    private void* Reallocate(in ReplayStep step, ref long corrupt)
    {
        if (_takenAddress <= ReplayTable.Failed)
        {
            return _takenAddress == ReplayTable.Failed ? _heap.TryAlloc(HeapSizeOf(step.SizeBytes)) : null;
        }

        void* old = (void*)_takenAddress;
        bool isIntact = ObjectMark.IsIntact(old, _taken.SizeBytes, _taken.Object);
        void* moved;
        try
        {
            moved = _heap.Realloc(old, HeapSizeOf(step.SizeBytes));
        }
        catch (OutOfMemoryException)
        {
            _heap.Free(old);
            return null;
        }

        // The start of the mark has come along.
        int common = Math.Min(ObjectMark.Bytes, Math.Min(_taken.SizeBytes, step.SizeBytes));
        corrupt += isIntact && ObjectMark.IsIntact(moved, common, _taken.Object) ? 0 : 1;
        if (moved == old)
        {
            _table.NoteKept(step.Object);
        }

        return moved;
    }

    private void Free(in ReplayStep step, void* address)
    {
        switch (step.Action)
        {
            case ReplayAction.FreeToCache:
                _caches[step.Cache].Free(address);
                break;
            case ReplayAction.FreePages:
                _pages.Free(address);
                break;
            default:
                _heap.Free(address);
                break;
        }
    }
}
