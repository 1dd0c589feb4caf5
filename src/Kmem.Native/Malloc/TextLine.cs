namespace Kmem.Native;

/// <summary>One line of text for a file descriptor, made on the stack: in an allocator nothing else is safe.</summary>
internal unsafe struct TextLine
{
    private const int BytesMax = 1024;

    private int _length;

    private fixed byte _bytes[BytesMax];

    public void Add(string text)
    {
        for (int index = 0; index < text.Length; index++)
        {
            char c = text[index];
            Add(c < 128 ? (byte)c : (byte)'?');
        }
    }

    /// <summary>What C calls a string. Control characters become question marks.</summary>
    public void Add(byte* text)
    {
        for (; *text != 0; text++)
        {
            Add(*text < 32 ? (byte)'?' : *text);
        }
    }

    public void Add(ulong value) => AddPadded(value, 0, 10);

    public void AddHex(nuint value)
    {
        Add("0x");
        AddPadded(value, 0, 16);
    }

    /// <summary>Right-aligned in so many columns.</summary>
    public void Add(ulong value, int columns) => AddPadded(value, columns, 10);

    /// <summary>The same without blanks, which would end a column.</summary>
    public void AddName(byte* text)
    {
        if (*text == 0)
        {
            Add((byte)'_');
        }

        for (; *text != 0; text++)
        {
            Add(*text <= 32 ? (byte)'_' : *text);
        }
    }

    /// <summary>Blanks up to a column.</summary>
    public void PadTo(int column)
    {
        while (_length < column)
        {
            Add((byte)' ');
        }
    }

    /// <summary>Writes the line and a line feed in one call, and starts over.</summary>
    public void WriteTo(int descriptor)
    {
        _bytes[_length++] = (byte)'\n';
        fixed (byte* bytes = _bytes)
        {
            _ = Libc.write(descriptor, bytes, (nuint)_length);
        }

        _length = 0;
    }

    /// <summary>Copies the line and a line feed to memory, as far as there is room; returns the bytes.</summary>
    public int CopyTo(byte* memory, int room)
    {
        int count = _length < room ? _length : room - 1;
        for (int index = 0; index < count; index++)
        {
            memory[index] = _bytes[index];
        }

        memory[count] = (byte)'\n';
        return count + 1;
    }

    /// <summary>What does not fit is cut off; there is always room for the line feed.</summary>
    private void Add(byte value)
    {
        if (_length < BytesMax - 1)
        {
            _bytes[_length++] = value;
        }
    }

    private void AddPadded(ulong value, int columns, uint radix)
    {
        byte* digits = stackalloc byte[20];
        int count = 0;
        do
        {
            uint digit = (uint)(value % radix);
            digits[count++] = (byte)(digit < 10 ? '0' + digit : 'a' + digit - 10);
            value /= radix;
        }
        while (value != 0);

        for (int blank = count; blank < columns; blank++)
        {
            Add((byte)' ');
        }

        while (count > 0)
        {
            Add(digits[--count]);
        }
    }
}
