using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Runtime;
using System.Threading.Tasks;
using Kmem.AspNetCore.Transport;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Kmem.Bench.Server;

/// <summary>The process that serves, seen from both sides.</summary>
internal sealed class ServerProcess : IDisposable
{
    private const int BodyBytes = 16 << 10;
    private const int BurstBytes = 1 << 20;

    private readonly Process _process;

    public ServerProcess(string variant, string? cpus)
    {
        ProcessStartInfo start = new(cpus == null ? Environment.ProcessPath! : "taskset") { RedirectStandardInput = true, RedirectStandardOutput = true };
        if (cpus != null)
        {
            start.ArgumentList.Add("-c");
            start.ArgumentList.Add(cpus);
            start.ArgumentList.Add(Environment.ProcessPath!);
        }

        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(typeof(ServerProcess).Assembly.Location);
        }

        start.ArgumentList.Add("--serve");
        start.ArgumentList.Add(variant);
        _process = Process.Start(start)!;
        string line = _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException($"The server '{variant}' did not start.");
        Port = int.Parse(line, CultureInfo.InvariantCulture);
    }

    public static IReadOnlyList<string> Variants { get; } = ["kestrel", "transport", "kmem"];

    public int Port { get; }

    /// <summary>Methods that its runtime has compiled so far, over and over ones counted each time.</summary>
    public long AskCompiledMethods()
    {
        using HttpClient client = new();
        return long.Parse(client.GetStringAsync(new Uri($"http://127.0.0.1:{Port}/compiled")).Result, CultureInfo.InvariantCulture);
    }

    /// <summary>Seconds of CPU that it used so far.</summary>
    public double CpuSeconds
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime.TotalSeconds;
        }
    }

    /// <summary>Resident memory in MiB.</summary>
    public double ResidentMiB => File.ReadLines($"/proc/{_process.Id}/status").Where(line => line.StartsWith("VmRSS:", StringComparison.Ordinal))
        .Select(line => double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024).Single();

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(20)))
        {
            _process.Kill();
        }

        _process.Dispose();
    }

    /// <summary>Serves until standard input ends.</summary>
    public static async Task Serve(string variant)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0);
            kestrel.Limits.MinResponseDataRate = null;
        });
        if (variant == "kmem")
        {
            builder.Services.AddKmemMemoryPool();
        }
        else if (variant == "transport")
        {
            builder.Services.AddSingleton<IConnectionListenerFactory>(static provider => new SlabTransportFactory(
                provider.GetRequiredService<IMemoryPoolFactory<byte>>(),
                SlabMemoryPool.Shared,
                provider.GetRequiredService<IOptions<SocketTransportOptions>>(),
                provider.GetRequiredService<ILoggerFactory>()));
        }

        byte[] hello = "Hello, World!"u8.ToArray();
        byte[] body = new byte[BodyBytes];
        body.AsSpan().Fill((byte)'x');
        WebApplication app = builder.Build();
        app.Run(context =>
        {
            HttpResponse response = context.Response;
            string path = context.Request.Path.Value!;
            byte[] answer = path == "/plaintext" ? hello : body;
            if (path == "/compiled")
            {
                return response.WriteAsync(JitInfo.GetCompiledMethodCount().ToString(CultureInfo.InvariantCulture));
            }

            if (path == "/burst")
            {
                return Burst(response, body);
            }

            response.ContentType = "text/plain";
            response.ContentLength = answer.Length;
            return response.Body.WriteAsync(answer, 0, answer.Length);
        });
        await app.StartAsync();
        Console.WriteLine(new Uri(app.Urls.First()).Port.ToString(CultureInfo.InvariantCulture));
        await Console.In.ReadToEndAsync();
        await app.StopAsync();
    }

    private static async Task Burst(HttpResponse response, byte[] piece)
    {
        response.ContentLength = BurstBytes;
        for (int bytes = 0; bytes < BurstBytes; bytes += piece.Length)
        {
            await response.Body.WriteAsync(piece);
        }
    }
}
