using System;
using System.Buffers.Binary;
using System.IO;
using System.IO.Compression;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Traces;

/// <summary>
/// Opens a trace: plain text or gzip, told apart by content, from a file, a pipe or standard input (<c>-</c>). What it is
/// not, it says: recordings in the binary formats of trace-cmd and perf and other compressions have a text that tells how to
/// go on.
/// </summary>
internal sealed class TraceSource : IDisposable
{
    private const int SignatureLength = 16;

    /// <summary>What stands for a path where standard input is meant.</summary>
    public const string StandardInput = "-";

    private readonly string _path;
    private readonly string _name;
    private readonly CountingStream _file;
    private readonly Stream _text;
    private readonly bool _compressed;
    private long _textBytes;

    private TraceSource(string path, CountingStream file, Stream text, bool compressed, long lengthBytes)
    {
        _path = path;
        _name = NameOf(path);
        _file = file;
        _text = text;
        _compressed = compressed;
        LengthBytes = lengthBytes;
    }

    /// <summary>Length of the file, compressed as it is; 0 where it is not known.</summary>
    public long LengthBytes { get; }

    /// <summary>Bytes of the file that were read.</summary>
    public long BytesRead => _file.BytesRead;

    /// <summary>What messages call a path.</summary>
    public static string NameOf(string path) => path == StandardInput ? "standard input" : path;

    /// <summary>Opens <paramref name="path"/>; throws a <see cref="ToolException"/> that says why it cannot be read.</summary>
    public static TraceSource Open(string path)
    {
        Stream stream = OpenStream(path);
        try
        {
            byte[] signature = new byte[SignatureLength];
            int read = stream.ReadAtLeast(signature, SignatureLength, throwOnEndOfStream: false);
            signature = signature[..read];
            RejectOtherFormats(NameOf(path), signature);
            CountingStream file = new(signature, stream);
            bool compressed = signature.AsSpan().StartsWith<byte>([0x1F, 0x8B]);
            Stream text = compressed ? new GZipStream(file, CompressionMode.Decompress) : file;
            return new TraceSource(path, file, text, compressed, stream.CanSeek ? stream.Length : 0);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            stream.Dispose();
            throw new ToolException($"{NameOf(path)}: cannot be read: {exception.Message}", exception);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Reads text. At the end of compressed text makes sure that it was all there, which the decompressor does not.</summary>
    public int Read(Span<byte> buffer)
    {
        int read;
        try
        {
            read = _text.Read(buffer);
        }
        catch (InvalidDataException exception)
        {
            throw new ToolException($"{_name}: the gzip data is damaged after {_textBytes:N0} bytes of text; nothing was replayed", exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"{_name}: cannot be read: {exception.Message}", exception);
        }

        _textBytes += read;
        if (read == 0 && buffer.Length > 0 && _compressed)
        {
            RequireWholeGzip();
        }

        return read;
    }

    public void Dispose()
    {
        _text.Dispose();
        _file.Dispose();
    }

    private static Stream OpenStream(string path)
    {
        if (path == StandardInput)
        {
            return Console.OpenStandardInput();
        }

        if (Directory.Exists(path))
        {
            throw new ToolException($"{path}: is a directory; a trace file is expected");
        }

        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ToolException($"{path}: no such file", exception);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new ToolException($"{path}: permission denied", exception);
        }
        catch (Exception exception) when (exception is IOException or ArgumentException or NotSupportedException)
        {
            throw new ToolException($"{path}: cannot be opened: {exception.Message}", exception);
        }
    }

    private static void RejectOtherFormats(string name, ReadOnlySpan<byte> signature)
    {
        if (signature.IsEmpty)
        {
            throw new ToolException($"{name}: the file is empty");
        }

        string? what = signature switch
        {
            [0x17, 0x08, 0x44, ..] => $"a recording of trace-cmd; make text of it with 'trace-cmd report -i {name}'",
            [(byte)'P', (byte)'E', (byte)'R', (byte)'F', (byte)'I', (byte)'L', (byte)'E', ..] => $"a recording of perf; make text of it with 'perf script -i {name}'",
            [0x28, 0xB5, 0x2F, 0xFD, ..] => "compressed with zstd; decompress it first (only gzip is read)",
            [0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', ..] => "compressed with xz; decompress it first (only gzip is read)",
            [(byte)'B', (byte)'Z', (byte)'h', ..] => "compressed with bzip2; decompress it first (only gzip is read)",
            [(byte)'P', (byte)'K', 3, 4, ..] => "a zip archive; unpack it first (only gzip is read)",
            _ => null,
        };
        if (what != null)
        {
            throw new ToolException($"{name}: is {what}");
        }
    }

    /// <summary>
    /// The decompressor ends without a word where the file ends, whole or not. Gzip closes with the length of the text
    /// (modulo 2^32), which four bytes out of the middle of a file do not match. A file of several members closes with the length of
    /// the last one.
    /// </summary>
    private void RequireWholeGzip()
    {
        _file.Drain();
        if (_file.LastFourBytes != (uint)_textBytes && !EndsInWholeMember())
        {
            throw new ToolException($"{_name}: the gzip data is cut off after {_textBytes:N0} bytes of text; nothing was replayed");
        }
    }

    /// <summary>Whether a gzip member that is not the first reaches exactly to the end of the file.</summary>
    private bool EndsInWholeMember()
    {
        if (LengthBytes == 0 || LengthBytes > Array.MaxLength)
        {
            return false;
        }

        byte[] whole = File.ReadAllBytes(_path);
        byte[] scratch = new byte[65536];
        for (int end = whole.Length; ;)
        {
            int start = whole.AsSpan(0, end).LastIndexOf([(byte)0x1F, (byte)0x8B, (byte)0x08]);
            if (start <= 0)
            {
                return false;
            }

            try
            {
                using GZipStream member = new(new MemoryStream(whole, start, whole.Length - start), CompressionMode.Decompress);
                long length = 0;
                for (int read; (read = member.Read(scratch)) > 0;)
                {
                    length += read;
                }

                if (length > 0 && (uint)length == BinaryPrimitives.ReadUInt32LittleEndian(whole.AsSpan(whole.Length - 4)))
                {
                    return true;
                }
            }
            catch (InvalidDataException)
            {
                // Three bytes inside a member that look like the start of one.
            }

            end = start;
        }
    }
}
