using System;
using Kmem;

namespace Parser.Tree;

/// <summary>
/// Each name of the document once, as a number. The dictionary goes from a name's hash to the newest name that has it; older ones with the same hash are chained behind that. So the keys are plain
/// numbers, and the text stays in one list of bytes.
/// </summary>
internal sealed class NameTable(KmemHeap heap) : IDisposable
{
    public const int None = -1;

    private readonly NativeDictionary<int, int> _newest = new(heap: heap);
    private readonly NativeList<Name> _names = new(heap: heap);
    private readonly NativeList<byte> _text = new(heap: heap);

    private struct Name
    {
        public int Start;
        public int Length;

        /// <summary>The next one with the same hash, or <see cref="None"/>.</summary>
        public int Older;
    }

    public int Count => _names.Count;

    public int Bytes => _text.Count;

    /// <summary>The number of a name; a new one if it was not there.</summary>
    public int Intern(ReadOnlySpan<byte> text)
    {
        ref int newest = ref _newest.GetValueRefOrAddDefault(HashOf(text), out bool exists);
        int older = exists ? newest : None;
        int found = Search(older, text);
        if (found == None)
        {
            found = newest = _names.Count;
            _names.Add(new Name { Start = _text.Count, Length = text.Length, Older = older });
            _text.AddRange(text);
        }

        return found;
    }

    /// <summary>The number of a name, or <see cref="None"/>.</summary>
    public int Find(ReadOnlySpan<byte> text) => _newest.TryGetValue(HashOf(text), out int newest) ? Search(newest, text) : None;

    public ReadOnlySpan<byte> TextOf(int name) => _text.AsSpan().Slice(_names[name].Start, _names[name].Length);

    public void Dispose()
    {
        _newest.Dispose();
        _names.Dispose();
        _text.Dispose();
    }

    private int Search(int name, ReadOnlySpan<byte> text)
    {
        while (name != None && !TextOf(name).SequenceEqual(text))
        {
            name = _names[name].Older;
        }

        return name;
    }

    /// <summary>Seeded by the framework: nobody can write a document whose names collide.</summary>
    private static int HashOf(ReadOnlySpan<byte> text)
    {
        HashCode hash = default;
        hash.AddBytes(text);
        return hash.ToHashCode();
    }
}
