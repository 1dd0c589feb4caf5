using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Net.Sockets;
using System.Text;

namespace CacheLoad;

/// <summary>One connection that speaks the protocol of lines and waits for each answer.</summary>
internal sealed class Client : IDisposable
{
    private const int SilentBytesMax = 1 << 16;
    private const int ValueBytesMax = 4096;

    private readonly TcpClient _tcp;
    private readonly NetworkStream _stream;
    private readonly byte[] _value = new byte[ValueBytesMax];
    private readonly byte[] _received = new byte[1 << 16];
    private readonly MemoryStream _toSend = new();
    private int _start;
    private int _end;

    public Client(int port)
    {
        _tcp = new TcpClient("127.0.0.1", port) { NoDelay = true };
        _stream = _tcp.GetStream();
        Random.Shared.NextBytes(_value);
    }

    /// <summary>Without an answer; sent when enough is together.</summary>
    public void StoreSilently(int item, int bytes)
    {
        Write(item, bytes, " noreply\r\n");
        if (_toSend.Length > SilentBytesMax)
        {
            Send();
        }
    }

    /// <summary>Until the server has done all that was asked of it.</summary>
    public void WaitForAll()
    {
        _toSend.Write("version\r\n"u8);
        Send();
        _ = ReadLine();
    }

    public void Store(int item, int bytes)
    {
        Write(item, bytes, "\r\n");
        Send();
        string line = ReadLine();
        if (line != "STORED")
        {
            throw new InvalidDataException($"A store was answered by '{line}'.");
        }
    }

    public void Get(int item)
    {
        _toSend.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"get key:{item}\r\n")));
        Send();
        string line = ReadLine();
        if (!line.StartsWith("VALUE ", StringComparison.Ordinal))
        {
            throw new InvalidDataException($"A get of an item that is there was answered by '{line}'.");
        }

        Skip(int.Parse(line.AsSpan(line.LastIndexOf(' ') + 1), CultureInfo.InvariantCulture) + 2);
        _ = ReadLine();
    }

    /// <summary>The server's longest pause counts from now on.</summary>
    public void Reset()
    {
        _toSend.Write("stats reset\r\n"u8);
        Send();
        _ = ReadLine();
    }

    public Dictionary<string, long> Statistics()
    {
        _toSend.Write("stats\r\n"u8);
        Send();
        Dictionary<string, long> all = [];
        for (string line = ReadLine(); line != "END"; line = ReadLine())
        {
            string[] words = line.Split(' ');
            all[words[1]] = long.Parse(words[2], CultureInfo.InvariantCulture);
        }

        return all;
    }

    public void Dispose() => _tcp.Dispose();

    private void Write(int item, int bytes, string end)
    {
        _toSend.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"set key:{item} 0 0 {bytes}{end}")));
        _toSend.Write(_value, item % (ValueBytesMax - bytes), bytes);
        _toSend.Write("\r\n"u8);
    }

    private void Send()
    {
        _stream.Write(_toSend.GetBuffer().AsSpan(0, (int)_toSend.Length));
        _toSend.SetLength(0);
    }

    private string ReadLine()
    {
        while (true)
        {
            int length = _received.AsSpan(_start, _end - _start).IndexOf((byte)'\n');
            if (length >= 0)
            {
                string line = Encoding.ASCII.GetString(_received, _start, length - 1);
                _start += length + 1;
                return line;
            }

            Receive();
        }
    }

    private void Skip(int bytes)
    {
        while (_end - _start < bytes)
        {
            bytes -= _end - _start;
            _start = _end;
            Receive();
        }

        _start += bytes;
    }

    private void Receive()
    {
        _received.AsSpan(_start, _end - _start).CopyTo(_received);
        _end -= _start;
        _start = 0;
        int count = _stream.Read(_received.AsSpan(_end));
        _end += count > 0 ? count : throw new EndOfStreamException("The server ended the connection.");
    }
}
