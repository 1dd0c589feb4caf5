using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Kmem.Diagnostics;

/// <summary>
/// The stacks that one thread was in a moment ago. A program allocates from the same few again and again: whether it is in one of them is seen by comparing the frames where
/// they were the last time, without walking from one to the next.
/// </summary>
/// <remarks>
/// A frame is two words on the stack: where the caller's frame is, and where the caller goes on. If all frames of a known stack are where they were and have the words that they had, it is the same
/// stack: each was found by the word before. All lie between the present frame and the end of the stack, so that they can be read whatever is there now.
/// </remarks>
internal sealed unsafe class RecentStacks
{
    private const int Sets = 8;
    private const int Ways = 4;
    private const int FrameShift = 4;

    private readonly Known[] _known = new Known[Sets * Ways];
    private uint _next;

    /// <summary>Number of the stack whose innermost frame is there, or 0.</summary>
    public uint Find(nuint* start)
    {
        ref Known way = ref _known[SetOf(start)];
        for (int left = Ways; left > 0; left--)
        {
            if (way.Start == (nuint)start && IsPresent(ref way))
            {
                return way.Number;
            }

            way = ref Unsafe.Add(ref way, 1);
        }

        return 0;
    }

    /// <summary>Remembers the stack that was walked just now.</summary>
    public void Keep(nuint* start, int count, uint number)
    {
        if (count == 0 || number == 0)
        {
            return;
        }

        ref Known known = ref _known[SetOf(start) + (int)(_next++ % Ways)];
        nuint* frame = start;
        for (int index = 0; index < count; index++)
        {
            known.Frames[index] = new Frame { Words = Vector128.Load(frame), At = (nuint)frame };
            frame = (nuint*)*frame;
        }

        known.Start = (nuint)start;
        known.Count = count;
        known.Number = number;
    }

    private static int SetOf(nuint* start) => ((int)((nuint)start >> FrameShift) & (Sets - 1)) * Ways;

    private static bool IsPresent(ref Known known)
    {
        // All frames, whatever the first ones are: so no load waits for another.
        Vector128<nuint> difference = default;
        ref Frame frame = ref known.Frames[0];
        for (int left = known.Count; left > 0; left--)
        {
            difference |= Vector128.Load((nuint*)frame.At) ^ frame.Words;
            frame = ref Unsafe.Add(ref frame, 1);
        }

        return difference == Vector128<nuint>.Zero;
    }

    private struct Frame
    {
        public Vector128<nuint> Words;
        public nuint At;
    }

    [InlineArray(StackDepot.RawFramesMax)]
    private struct Frames
    {
        private Frame _first;
    }

    private struct Known
    {
        public nuint Start;
        public int Count;
        public uint Number;
        public Frames Frames;
    }
}
