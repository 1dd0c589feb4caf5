using System.IO;
using System.Text;

namespace Kmem.Tool.Hosting;

/// <summary>
/// Drops spaces at the end of lines. Tables fill every cell up to its column's width, which is right on a terminal and
/// noise in a file.
/// </summary>
internal sealed class LineTrimmingWriter : TextWriter
{
    private readonly TextWriter _inner;

    // Spaces that were written and not passed on: they belong before the next other character, or nowhere.
    private int _pendingSpaces;

    public LineTrimmingWriter(TextWriter inner)
    {
        _inner = inner;
        NewLine = "\n";
    }

    public override Encoding Encoding => _inner.Encoding;

    public override void Write(char value)
    {
        switch (value)
        {
            case ' ':
                _pendingSpaces++;
                return;
            case '\n':
                _pendingSpaces = 0;
                break;
            case '\r':
                return;
            default:
                for (; _pendingSpaces > 0; _pendingSpaces--)
                {
                    _inner.Write(' ');
                }

                break;
        }

        _inner.Write(value);
    }

    public override void Flush() => _inner.Flush();
}
