using Kmem.Engine.Primitives;

namespace Kmem.Native;

/// <summary>How a record is written: between begin and end nobody else writes into the thread's chunk.</summary>
internal static unsafe partial class TraceRecorder
{
    private static bool TryBegin(TraceThread* thread)
    {
        if (!IsOn || thread->SequenceBefore != 0)
        {
            return false;
        }

        if (thread->IsBusy != 0)
        {
            if (s_control->Header != null)
            {
                _ = Atomic.Add((long*)(s_control->Header + TraceFormat.OffsetLost), 1);
            }

            return false;
        }

        thread->IsBusy = 1;
        return true;
    }

    private static void End(TraceThread* thread)
    {
        if (thread->HasEnded != 0 && thread->Position != null)
        {
            PutChunkBack(thread);
        }

        thread->IsBusy = 0;
    }

    /// <summary>Where the next record goes, whose first number is <paramref name="sequence"/>; null where the recording has stopped.</summary>
    private static byte* Place(TraceThread* thread, ulong sequence)
    {
        if (thread->Position >= thread->Limit || thread->Run != s_run)
        {
            PlaceSlow(thread, sequence);
        }

        return thread->Position;
    }

    /// <summary>The distance from the thread's last number goes into the tag, or behind it.</summary>
    private static byte* WriteDistance(byte* tag, TraceThread* thread, ulong sequence, byte kind, out byte first)
    {
        ulong distance = sequence - thread->LastSequence;
        bool isShort = distance <= TraceFormat.TagDistanceMax;
        first = isShort ? (byte)(kind | (distance << TraceFormat.TagDistanceShift)) : kind;
        return isShort ? tag + 1 : WriteNumber(tag + 1, distance);
    }

    private static byte* WriteAddress(byte* at, TraceThread* thread, void* memory)
    {
        ulong address = (ulong)memory;
        ulong rotated = (address >> TraceFormat.AddressRotation) | (address << (64 - TraceFormat.AddressRotation));
        long distance = (long)(rotated - thread->LastAddress);
        thread->LastAddress = rotated;

        // The sign goes to the lowest bit, so that short ways back are short numbers.
        return WriteNumber(at, (ulong)((distance << 1) ^ (distance >> 63)));
    }

    /// <summary>Seven bits a byte, the lowest first; the highest bit says that more follow.</summary>
    private static byte* WriteNumber(byte* at, ulong value)
    {
        while (value >= 0x80)
        {
            *at++ = (byte)(value | 0x80);
            value >>= 7;
        }

        *at++ = (byte)value;
        return at;
    }

    /// <summary>The record is there from the store of its tag on.</summary>
    private static void Publish(TraceThread* thread, byte* tag, byte first, byte* end, ulong sequence)
    {
        thread->LastSequence = sequence;
        Atomic.Store(tag, first);
        thread->Position = end;
    }
}
