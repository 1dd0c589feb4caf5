using System;
using System.Buffers;
using System.IO;
using System.IO.Pipelines;
using System.Threading.Tasks;
using CacheServer.Store;
using Microsoft.AspNetCore.Connections;

namespace CacheServer.Protocol;

/// <summary>One client. Its first byte says which protocol it speaks. Requests that came together are answered together.</summary>
internal sealed class MemcachedConnection(IItemStore store) : ConnectionHandler
{
    private const byte BinaryRequest = 0x80;

    public override async Task OnConnectedAsync(ConnectionContext connection)
    {
        PipeReader input = connection.Transport.Input;
        PipeWriter output = connection.Transport.Output;
        IProtocol? protocol = null;
        bool goesOn = true;
        try
        {
            while (goesOn)
            {
                ReadResult read = await input.ReadAsync(connection.ConnectionClosed);
                ReadOnlySequence<byte> unread = read.Buffer;
                if (!unread.IsEmpty)
                {
                    protocol ??= unread.FirstSpan[0] == BinaryRequest ? new BinaryProtocol(store, output) : new AsciiProtocol(store, output);
                    while (goesOn && protocol.TryAnswer(ref unread, out goesOn))
                    {
                    }
                }

                input.AdvanceTo(unread.Start, unread.End);
                goesOn &= !read.IsCompleted && !(await output.FlushAsync(connection.ConnectionClosed)).IsCompleted;
            }

            _ = await output.FlushAsync();
        }
        catch (Exception exception) when (exception is OperationCanceledException or ConnectionResetException or IOException)
        {
            // The client is gone.
        }
    }
}

/// <summary>One of the two protocols, for one client.</summary>
internal interface IProtocol
{
    /// <summary>Answers the first request. False: it is not there as a whole yet. <paramref name="goesOn"/>: whether the client may send more.</summary>
    public bool TryAnswer(ref ReadOnlySequence<byte> unread, out bool goesOn);
}
