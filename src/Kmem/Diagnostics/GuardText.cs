using System;
using System.Text;
using Kmem.Engine.Caches;

namespace Kmem.Diagnostics;

/// <summary>What a fault says of a guarded object. Written when it is allocated and freed: in the handler there is no time for it.</summary>
internal static unsafe class GuardText
{
    private const string Cut = "\n    …\n";

    /// <summary>The rest of a line that began with what was done, where; then the lines of a report.</summary>
    public static int Write(Cache* twin, GuardSlot* slot, bool isFreed)
    {
        ReportText text = new();
        text.Guarded(twin, slot);
        text.UsersAt("allocated", slot->Track.AllocThread, slot->Track.AllocMilliseconds, StackDepot.Get(slot->Track.AllocStack));
        if (isFreed)
        {
            text.UsersAt("freed    ", slot->Track.FreeThread, slot->Track.FreeMilliseconds, StackDepot.Get(slot->Track.FreeStack));
        }

        text.Add("  done      the signal takes its course: what follows is from whoever handled it before");
        byte[] bytes = Encoding.UTF8.GetBytes(text + "\n");
        int count = bytes.Length;
        if (count > GuardSlot.TextBytesMax)
        {
            byte[] cut = Encoding.UTF8.GetBytes(Cut);
            count = GuardSlot.TextBytesMax;
            cut.CopyTo(bytes, count - cut.Length);
        }

        bytes.AsSpan(0, count).CopyTo(new Span<byte>(slot->Text, GuardSlot.TextBytesMax));
        return count;
    }
}
