using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Sized;

/// <summary>Who is told of runs of pages: the profile, fault sweeps, and with the letter U the face. The owner's word of a run's head is its number in the profile, or 0.</summary>
internal unsafe partial struct SizedHeap
{
    /// <summary>The number of a sample, if this run is one; else 0.</summary>
    private static ulong SampleRun(SizedHeap* heap, Page* head)
    {
        nuint bytes = (nuint)head->Payload.Pages << Address.PageShift;
        if (Atomic.Load(&heap->Registry.SampleIntervalBytes) == 0 || !Sampling.IsDue(&heap->Registry, bytes))
        {
            return 0;
        }

        SampleFacts facts = new()
        {
            Stack = Face.CaptureStack(),
            CapacityBytes = bytes,
            RequestedBytes = (nuint)head->Payload.RequestedBytes,
        };
        return Face.NoteSampled(&heap->Registry, &facts);
    }

    private static void NoteRunAllocated(SizedHeap* heap, Page* head, void* address, nuint sizeBytes)
    {
        head->Payload.OwnerWord = SampleRun(heap, head);
        Cache.NoteAllocatedInSweep(&heap->Registry, (nuint)address, sizeBytes);
        if (Atomic.Load(&heap->Registry.TellsRuns) != 0)
        {
            Face.NoteRunAllocated(&heap->Registry, address, sizeBytes);
        }
    }

    private static void NoteRunResized(SizedHeap* heap, Page* head)
    {
        if (Atomic.Load(&heap->Registry.TellsRuns) != 0)
        {
            Face.NoteRunResized(&heap->Registry, Zone.AddressOf(&heap->Zone, head), (nuint)head->Payload.RequestedBytes);
        }

        if (head->Payload.OwnerWord != 0)
        {
            Face.NoteSampleResized(&heap->Registry, (nuint)head->Payload.OwnerWord, (nuint)head->Payload.Pages << Address.PageShift, (nuint)head->Payload.RequestedBytes);
        }
    }

    private static void NoteRunFreed(SizedHeap* heap, Page* head, void* address)
    {
        if (head->Payload.OwnerWord != 0)
        {
            Face.NoteSampleFreed(&heap->Registry, (nuint)head->Payload.OwnerWord);
        }

        Cache.NoteFreedInSweep(&heap->Registry, (nuint)address);
        if (Atomic.Load(&heap->Registry.TellsRuns) != 0)
        {
            Face.NoteRunFreed(&heap->Registry, address);
        }
    }
}
