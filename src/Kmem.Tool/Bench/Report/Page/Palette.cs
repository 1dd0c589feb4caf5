using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>
/// Colours by family, so that a reader sees kinds before names; members of a family differ in lightness and a little in hue. An
/// allocator's class sets the variable <c>--c</c>, in a light and in a dark tone.
/// </summary>
internal static class Palette
{
    private static readonly Dictionary<AllocatorFamily, Tone> s_tones = new()
    {
        [AllocatorFamily.Kmem] = new("Kmem", 214, 200, 90),
        [AllocatorFamily.NativeMemory] = new("Native\u00ADMemory", 215, 215, 8),
        [AllocatorFamily.Managed] = new("managed arrays", 265, 290, 50),
        [AllocatorFamily.ManagedPeer] = new("C# port", 15, 42, 85),
        [AllocatorFamily.NativePeer] = new("native, P/Invoke", 172, 120, 60),
        [AllocatorFamily.NativePeerSuppressed] = new("native, no GC transition", 318, 350, 62),
    };

    /// <summary>A family in the reader's words; a soft hyphen lets a narrow column break the one that is a single word.</summary>
    public static string NameOf(AllocatorFamily family) => s_tones[family].Name;

    /// <summary>The class that carries an allocator's colour.</summary>
    public static string ClassOf(int allocator) => "a" + allocator.ToString(CultureInfo.InvariantCulture);

    /// <summary>The rules of the style sheet that give each allocator its colour.</summary>
    public static string Rules(IReadOnlyList<BenchAllocator> allocators)
    {
        StringBuilder light = new();
        StringBuilder dark = new();
        for (int index = 0; index < allocators.Count; index++)
        {
            AllocatorFamily family = allocators[index].Family;
            int members = allocators.Count(each => each.Family == family);
            int place = allocators.Take(index).Count(each => each.Family == family);
            double share = members == 1 ? 0.25 : (double)place / (members - 1);
            Tone tone = s_tones[family];
            double hue = tone.FirstHue + ((tone.LastHue - tone.FirstHue) * share);
            light.Append(CultureInfo.InvariantCulture, $".{ClassOf(index)}{{--c:hsl({hue:F0} {tone.Saturation}% {34 + (24 * share):F0}%)}}\n");
            dark.Append(CultureInfo.InvariantCulture, $".{ClassOf(index)}{{--c:hsl({hue:F0} {tone.Saturation}% {60 + (18 * share):F0}%)}}\n");
        }

        return $"{light}@media (prefers-color-scheme:dark){{\n{dark}}}\n";
    }

    private sealed record Tone(string Name, int FirstHue, int LastHue, int Saturation);
}
