namespace Parser.Tree;

internal enum NodeKind : byte
{
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// <summary>
/// One value of the document, in 16 bytes and without a reference. Nodes lie in the order of the text, so that what is in an object or an array follows it at once, and the tree needs no links:
/// a container knows where the node after its last one is.
/// </summary>
internal struct Node
{
    private int _first;
    private int _second;

    public NodeKind Kind { get; private set; }

    /// <summary>Whether a string has escapes, so that its text is not its value.</summary>
    public bool HasEscapes { get; private set; }

    /// <summary>In an object: number of its name. Else <see cref="NameTable.None"/>.</summary>
    public int Name { get; private set; }

    public readonly bool IsContainer => Kind <= NodeKind.Array;

    /// <summary>Where a string, without its quotes, or a number starts in the source; in bytes.</summary>
    public readonly int Start => _first;

    /// <summary>Its bytes.</summary>
    public readonly int Length => _second;

    /// <summary>Of a container: the first node that is not in it.</summary>
    public readonly int End => _first;

    /// <summary>Of a container: its members or elements.</summary>
    public readonly int Count => _second;

    public static Node OfText(NodeKind kind, int name, int start, int length, bool hasEscapes = false) => new() { Kind = kind, Name = name, _first = start, _second = length, HasEscapes = hasEscapes };

    /// <summary>A container whose end is not known yet: <see cref="Close"/>.</summary>
    public static Node Open(NodeKind kind, int name) => new() { Kind = kind, Name = name };

    public void Close(int end, int count)
    {
        _first = end;
        _second = count;
    }
}
