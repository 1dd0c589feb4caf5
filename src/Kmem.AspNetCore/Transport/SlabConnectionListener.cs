using System;
using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace Kmem.AspNetCore.Transport;

/// <summary>One socket that listens. Its connections take their blocks from one pool, and turns at a few queues.</summary>
internal sealed class SlabConnectionListener : IConnectionListener
{
    private readonly Socket _socket;
    private readonly MemoryPool<byte> _pool;
    private readonly MemoryPool<byte> _gathering;
    private readonly SocketTransportOptions _options;
    private readonly ILogger _logger;
    private readonly (PipeOptions Input, PipeOptions Output)[] _queues;
    private uint _next;

    public SlabConnectionListener(Socket socket, MemoryPool<byte> pool, MemoryPool<byte> gathering, SocketTransportOptions options, ILogger logger)
    {
        _socket = socket;
        _pool = pool;
        _gathering = gathering;
        _options = options;
        _logger = logger;
        EndPoint = socket.LocalEndPoint!;
        _queues = new (PipeOptions, PipeOptions)[Math.Max(1, options.IOQueueCount)];
        long mostRead = options.MaxReadBufferSize ?? 0;
        long mostWritten = options.MaxWriteBufferSize ?? 0;
        PipeScheduler application = options.UnsafePreferInlineScheduling ? PipeScheduler.Inline : PipeScheduler.ThreadPool;
        for (int index = 0; index < _queues.Length; index++)
        {
            PipeScheduler transport = options.UnsafePreferInlineScheduling ? PipeScheduler.Inline
                : options.IOQueueCount > 0 ? new TransportQueue() : PipeScheduler.ThreadPool;
            _queues[index] = (
                new PipeOptions(pool, application, transport, mostRead, mostRead / 2, useSynchronizationContext: false),
                new PipeOptions(pool, transport, application, mostWritten, mostWritten / 2, useSynchronizationContext: false));
        }
    }

    public EndPoint EndPoint { get; }

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            try
            {
                Socket socket = await _socket.AcceptAsync(cancellationToken).ConfigureAwait(false);
                if (socket.LocalEndPoint is IPEndPoint)
                {
                    socket.NoDelay = _options.NoDelay;
                }

                (PipeOptions input, PipeOptions output) = _queues[_next++ % (uint)_queues.Length];
                SlabConnection connection = new(socket, _pool, _gathering, input, output, _options.WaitForDataBeforeAllocatingBuffer, _logger);
                connection.Start();
                return connection;
            }
            catch (ObjectDisposedException)
            {
                return null;
            }
            catch (SocketException exception) when (exception.SocketErrorCode == SocketError.OperationAborted)
            {
                return null;
            }
            catch (SocketException exception)
            {
                // The client was gone before its turn came.
                TransportLog.AcceptFailed(_logger, exception);
            }
        }
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Called when all connections are closed. Blocks that are out none the less stay valid.</summary>
    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        _pool.Dispose();
        return ValueTask.CompletedTask;
    }
}
